import { connect, type NetConnectOpts } from 'node:net';

/** Whether somebody listens there now. */
export function isListening(there: NetConnectOpts): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(there, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
