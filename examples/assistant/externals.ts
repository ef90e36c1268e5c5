import fastify from 'fastify';
import { EXTERNALS, type External, type Switches } from './switches';

/** What the assistant needs of others: it fails with it, and nothing here can mend that. */
export class ExternalDown extends Error {
  readonly statusCode = 502;
  constructor(readonly external: External) {
    super(`${external} does not answer`);
    this.name = 'ExternalDown';
  }
}

/** Throws where it is down. The real ones would be asked here. */
export function need(external: External, { down }: Switches): void {
  if (down.includes(external)) throw new ExternalDown(external);
}

export interface StatusPages {
  /** One page for each below it: `<url>/twilio/api/v2/status.json`. */
  url: string;
  stop: () => Promise<void>;
}

/** The status pages of Twilio, VAPI and Google Calendar, in the form that most status pages have. */
export async function startStatusPages(switches: () => Switches): Promise<StatusPages> {
  const server = fastify({ logger: false, forceCloseConnections: true });
  for (const external of EXTERNALS)
    server.get(`/${external}/api/v2/status.json`, () => ({
      page: { name: external },
      status: switches().down.includes(external)
        ? { indicator: 'major', description: 'Major System Outage' }
        : { indicator: 'none', description: 'All Systems Operational' },
    }));
  const url = await server.listen({ host: '127.0.0.1', port: 0 });
  return { url, stop: () => server.close() };
}
