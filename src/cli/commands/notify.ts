import type { Command } from 'commander';
import type { AnnounceResult } from '../../activities/notifications/message';
import type { LoadedConfig } from '../../config/load';
import type { NotificationConfig } from '../../config/notification-schema';
import { CliError, EXIT } from '../errors';
import { outputOf } from '../output';
import { defaultName, requiredConfig } from '../settings';

interface Options {
  service: string;
  channel?: string[];
  page?: boolean;
  text?: string;
}

interface Line {
  channel: string;
  kind: string;
  state: 'ok' | 'skipped' | 'failed';
  detail: string;
}

export function addNotify(program: Command): void {
  program
    .command('notify')
    .description('sends a test message to the channels of a service, from this machine')
    .requiredOption('--service <name>', 'whose channels')
    .option('--channel <names...>', 'only these; default: all of them, without their fallbacks')
    .option('--page', 'as a page of severity P3 that is resolved at once; PagerDuty takes nothing else')
    .option('--text <text>', 'what it says')
    .action(async (options: Options, command: Command) => {
      const config = await requiredConfig(command);
      const channels = await channelsOf(config, options);
      const output = outputOf(command);
      output.hint(`${channels.length} channel${channels.length === 1 ? '' : 's'} of ${options.service}:`);
      const lines = await Promise.all(channels.map((channel) => tryChannel(config, options, channel)));
      const { formatTable } = await import('../table.js');
      const marks = {
        ok: output.style('green', '✔ sent'),
        skipped: output.style('yellow', '! not sent'),
        failed: output.style('red', '✖ FAILED'),
      };
      output.document({ service: options.service, channels: lines });
      output.line(
        formatTable(
          ['', 'channel', 'kind', 'result'],
          lines.map(({ channel, kind, state, detail }) => [marks[state], channel, kind, detail]),
        ),
      );
      if (lines.some(({ state }) => state === 'failed')) process.exitCode = EXIT.runFailed;
    });
}

async function channelsOf(
  config: LoadedConfig,
  { service, channel }: Options,
): Promise<NotificationConfig[]> {
  const { serviceOf, UnknownName } = await import('../../config/load.js');
  const { notify } = serviceOf(config, service);
  const names = notify.map(({ name }) => name);
  const unknown = channel?.find((name) => !names.includes(name));
  if (unknown !== undefined) throw new UnknownName(`channel of ${service}`, unknown, names);
  if (notify.length === 0)
    throw new CliError(
      EXIT.usage,
      `${service} has no channels: write some under services.${service}.notify.`,
    );
  return notify.filter(({ name }) => channel?.includes(name) ?? true);
}

/** One at a time and without its fallback: whether this very channel works is what one wants to know. */
async function tryChannel(
  config: LoadedConfig,
  { service, page, text }: Options,
  channel: NotificationConfig,
): Promise<Line> {
  const { createAnnounceActivities } = await import('../../activities/notifications/announce.js');
  const { announce } = createAnnounceActivities({ config: withOnly(config, service, channel) });
  const message = {
    service,
    title: 'Test of the channels',
    text: text ?? `This is a test by ${defaultName()}. Nothing is wrong, and nothing is to be done.`,
    workflowId: 'runbooks notify',
    incident: `runbooks-notify-${Date.now()}`,
    rung: null,
  };
  const first = await announce({ ...message, ...(page ? { kind: 'page', severity: 'P3' } : {}) });
  const { threads } = first;
  const ended =
    page && first.told.length > 0
      ? await announce({ ...message, text: 'The test is over.', kind: 'resolved', severity: 'P3', threads })
      : undefined;
  return lineOf(channel, first, ended);
}

function lineOf({ name, kind }: NotificationConfig, first: AnnounceResult, ended?: AnnounceResult): Line {
  const problems = [...first.problems, ...(ended?.problems ?? [])].map((text) =>
    text.replace(`${name}: `, ''),
  );
  const line = { channel: name, kind };
  if (problems.length > 0) return { ...line, state: 'failed', detail: problems.join('; ') };
  if (first.told.length === 0) return { ...line, state: 'skipped', detail: 'takes only pages: try --page' };
  return { ...line, state: 'ok', detail: ended === undefined ? 'taken' : 'taken, and resolved' };
}

/** There is no run to look at, so there is no address to it either. */
function withOnly(config: LoadedConfig, service: string, channel: NotificationConfig): LoadedConfig {
  const one = { ...channel, fallback: undefined };
  const services = { ...config.services };
  if (services[service] !== undefined) services[service] = { ...services[service], notify: [one] };
  return { ...config, temporal: { ...config.temporal, uiUrl: undefined }, services };
}
