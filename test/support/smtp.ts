import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';

export interface Mail {
  from: string;
  to: string[];
  /** As it came, headers and body, with its line breaks. */
  source: string;
  /** It came through TLS. */
  secure: boolean;
}

export interface SmtpServer {
  port: number;
  mails: Mail[];
  /** Every line that a client sent, passwords included. */
  lines: string[];
  /** Answers a command instead of the server; undefined: the usual way. `silent` never answers. */
  answer: (line: string) => string | undefined;
  reset(): void;
  close(): Promise<void>;
}

/** A small real SMTP server on the loopback: EHLO, STARTTLS (with a certificate), AUTH, MAIL, RCPT, DATA, QUIT. */
export async function startSmtp({
  host = '127.0.0.1',
  certificate,
}: { host?: string; certificate?: { key: string; cert: string } } = {}): Promise<SmtpServer> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    speak(socket, smtp, certificate);
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const smtp: SmtpServer = {
    port: (server.address() as AddressInfo).port,
    mails: [],
    lines: [],
    answer: () => undefined,
    reset() {
      Object.assign(smtp, { mails: [], lines: [], answer: () => undefined });
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
  return smtp;
}

function speak(
  socket: Socket,
  smtp: SmtpServer,
  certificate?: { key: string; cert: string },
  secure = false,
): void {
  let rest = '';
  let data: string[] | undefined;
  let mail: Mail = { from: '', to: [], source: '', secure };
  const say = (text: string) => void (text === 'silent' || socket.write(`${text}\r\n`));

  const usual = (line: string): string => {
    const [verb = ''] = line.toUpperCase().split(/[ :]/);
    if (verb === 'EHLO')
      return ['250-loopback', ...(certificate && !secure ? ['250-STARTTLS'] : []), '250 AUTH PLAIN'].join(
        '\r\n',
      );
    if (verb === 'STARTTLS' && !certificate) return '502 no such command';
    if (verb === 'AUTH') return '235 welcome';
    if (verb === 'MAIL') mail = { from: line, to: [], source: '', secure };
    if (verb === 'DATA') return '354 go on';
    return '250 ok';
  };
  const take = (line: string) => {
    if (data !== undefined) {
      if (line !== '.') return void data.push(line);
      mail.source = data.join('\r\n');
      smtp.mails.push(mail);
      data = undefined;
      return say('250 taken');
    }
    smtp.lines.push(line);
    const reply = smtp.answer(line) ?? usual(line);
    if (/^RCPT/i.test(line) && reply.startsWith('250')) mail.to.push(/<(.*)>/.exec(line)?.[1] ?? '');
    if (/^DATA/i.test(line) && reply.startsWith('354')) data = [];
    say(reply);
    if (/^STARTTLS/i.test(line) && certificate) {
      socket.removeAllListeners('data');
      const context = createSecureContext(certificate);
      const inside = new TLSSocket(socket, { isServer: true, secureContext: context });
      inside.on('error', () => undefined);
      speak(inside, smtp, certificate, true);
    }
  };

  if (!secure) say(smtp.answer('') ?? '220 loopback');
  socket.on('data', (part: Buffer) => {
    const lines = (rest + part.toString()).split('\r\n');
    rest = lines.pop() ?? '';
    lines.forEach(take);
  });
}
