/** A database of the configuration to which no activity of these tests ever connects. */
export const databaseOfNobody = {
  url: '${env:NONE}',
  identity: { systemIdentifier: '7000000000000000000', database: 'booking' },
};
