/** One address or user: never a network, an option or a pattern, whoever named it. */
export const ONE_CALLER = /^[\w.:@+][\w.:@+-]{0,99}$/;
