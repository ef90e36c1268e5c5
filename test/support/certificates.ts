import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Pair {
  certificate: string;
  key: string;
}

/** An authority of one's own, and certificates that it signs. Needs the program openssl. */
export function createAuthority(directory: string): { ca: string; sign(name: string): Pair } {
  const at = (name: string) => join(directory, name);
  const read = (name: string) => readFileSync(at(name), 'utf8');
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const fresh = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl(
    'req',
    '-x509',
    ...fresh,
    '-keyout',
    at('ca.key'),
    '-out',
    at('ca.pem'),
    '-subj',
    '/CN=test authority',
    '-days',
    '2',
  );
  return {
    ca: read('ca.pem'),
    sign: (name) => {
      openssl(
        'req',
        ...fresh,
        '-keyout',
        at(`${name}.key`),
        '-out',
        at(`${name}.csr`),
        '-subj',
        `/CN=${name}`,
      );
      writeFileSync(at('extensions'), `subjectAltName=DNS:${name}`);
      openssl(
        ...[
          'x509',
          '-req',
          '-in',
          at(`${name}.csr`),
          '-CA',
          at('ca.pem'),
          '-CAkey',
          at('ca.key'),
          '-CAcreateserial',
        ],
        ...['-extfile', at('extensions'), '-out', at(`${name}.pem`), '-days', '2'],
      );
      return { certificate: read(`${name}.pem`), key: read(`${name}.key`) };
    },
  };
}
