/** Where the sample's people are told: a stand-in for Slack and a pager, on the loopback address, with a page to look at. */
import fastify from 'fastify';

export interface Inbox {
  /** Messages are posted below it, one path for each channel; a browser shows what came. */
  url: string;
  received(): Received[];
  stop(): Promise<void>;
}

export interface Received {
  channel: string;
  at: string;
  kind: string;
  severity: string;
  service: string;
  text: string;
  link: string;
}

const KEPT = 200;

/** Starts the inbox. It keeps the newest 200 messages and forgets them when it stops. */
export async function startInbox(port = 0): Promise<Inbox> {
  const messages: Received[] = [];
  const server = fastify({ logger: false, forceCloseConnections: true });
  server.post<{ Params: { channel: string }; Body: Record<string, unknown> }>(
    '/:channel',
    ({ params, body }) => {
      const text = (name: string): string => (typeof body[name] === 'string' ? body[name] : '');
      messages.unshift({
        channel: params.channel,
        at: text('at'),
        kind: text('kind'),
        severity: text('severity'),
        service: text('service'),
        text: text('text'),
        link: text('link'),
      });
      messages.splice(KEPT);
      return { taken: true };
    },
  );
  server.get('/', (_request, reply) => reply.type('text/html; charset=utf-8').send(page(messages)));
  const url = await server.listen({ host: '127.0.0.1', port });
  return { url, received: () => [...messages], stop: () => server.close() };
}

const STYLE = `
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 48rem; margin: 2rem auto; padding: 0 1rem }
li { list-style: none; margin: 1rem 0; padding-left: .75rem; border-left: 4px solid #767676 }
li.page { border-color: #d32f2f }
ul { padding: 0 }
pre { font: inherit; white-space: pre-wrap; overflow-wrap: anywhere; margin: .25rem 0 }
`;

function page(messages: Received[]): string {
  const items = messages.map(
    ({ channel, at, kind, severity, service, text, link }) => `<li class="${kind === 'page' ? 'page' : ''}">
<strong>${escaped(`${severity} ${kind}`.trim())}</strong> · ${escaped(service)} · to ${escaped(channel)} · ${escaped(at.slice(0, 19).replace('T', ' '))} UTC
<pre>${escaped(text)}</pre>
${/^https?:/.test(link) ? `<a href="${escaped(link)}">Open the run</a>` : ''}</li>`,
  );
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="5"><title>Messages to people</title><style>${STYLE}</style>
<h1>Messages to people</h1>
<p>What the sample's channels got, the newest first. In a service of one's own this is Slack, a pager, e-mail.</p>
${items.length === 0 ? '<p>None yet.</p>' : `<ul>${items.join('\n')}</ul>`}</html>`;
}

/** As a program: PORT, else 8081. */
if (require.main === module) {
  startInbox(Number(process.env['PORT'] ?? 8_081)).then(
    ({ url }) => console.log(`messages to people: ${url}`),
    (error: Error) => {
      console.error(error.message);
      process.exitCode = 1;
    },
  );
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (one) => `&#${one.charCodeAt(0)};`);
}
