import type { DatabaseDiagnosis } from '../../../activities/postgres/connections/diagnose-activities';
import { capitalised } from '../../../contract/text';
import { targetOf, type Place } from '../../../contract/place';
import { findingText, type Finding, type Situation } from './situation';

/** What a person does about it. Without what comes and goes, so that an approval of it lasts. */
export function adviceFor({ whose, cause }: Finding, { runbooks }: DatabaseDiagnosis): string {
  const url = urlOf(whose);
  // Somebody else gets through, so the server is well.
  const isUrl = whose === 'the application' && runbooks.cause === null;
  const compare = `compare host, port and database of ${url} with those that the provider names`;
  switch (cause) {
    case 'url':
      return `${url} cannot be read: write postgresql://user:password@host:5432/database, without quotes, and with the special characters of the password percent-encoded`;
    case 'dns':
      return `${compare}, or have the DNS record put back`;
    case 'resolver':
      return 'names are not resolved: look at the DNS server that this machine asks';
    case 'refused':
      return isUrl
        ? `${compare}: the runbooks reach the server at ${runbooks.address}`
        : `nothing listens there: look at the status of the server at its provider, or at its log, and start it; else ${compare}`;
    case 'unreachable':
      return isUrl
        ? `${compare}, and look whether a firewall keeps the application out: the runbooks reach the server at ${runbooks.address}`
        : 'look at the status of the server at its provider, at the network in between, and at firewalls and lists of allowed addresses';
    case 'paused':
      return 'its provider has paused it: resume it in its dashboard, and look whether the plan pauses it again';
    case 'starting':
      return 'it stays at starting, stopping or recovering: look at the log of the server, and at its disk';
    case 'too-many-connections':
      return whose === 'the runbooks'
        ? 'no connection is left, not even for the runbooks: as a superuser, who has reserved ones, end idle sessions with pg_terminate_backend(), or raise the limit that is named'
        : 'connections stay used up: raise the limit that is named, make the pools smaller, or find out who holds them';
    case 'authentication':
      return `user and password of ${url} are not accepted: compare them with those of the role, and whether the role exists and may log in; after a rotation set the new one there`;
    case 'not-admitted':
      return `pg_hba.conf, or the provider's list of allowed addresses, has no entry for this user, database and address: add one, or correct ${url}`;
    case 'tls':
      return `both ends do not agree on TLS: where the server demands it, add sslmode=verify-full to ${url}; where its certificate is not accepted, renew it, or correct the host name or sslrootcert there; where it offers none, switch it on`;
    case 'database-missing':
      return `correct the name in ${url} where that is wrong; where the database was dropped, start restoreDatabase`;
    case 'closed':
      return 'somebody closed it to connections, as a restore does for a moment: where none is under way, ALTER DATABASE ... ALLOW_CONNECTIONS true';
    case 'other-database':
      return `correct ${url}, or the identity in the configuration where the database was moved (\`runbooks check\` prints it)`;
    case 'in-recovery':
      return `${url} leads to a standby: point it to the primary; where this one is to take over, promote it with SELECT pg_promote()`;
    case 'read-only':
      return `where nobody wants it so any more, take it back where it was set: after SET default_transaction_read_only = off, ALTER DATABASE ... RESET default_transaction_read_only, the same of the role, or the configuration of the server; a provider sets it where the disk is full. Sessions that were opened meanwhile keep it: end them, or restart the application`;
    case 'unknown':
      return `look at what was said, and at the log of the server`;
  }
}

function urlOf(whose: Finding['whose']): string {
  return whose === 'the application'
    ? 'DATABASE_URL of the application'
    : 'the database URL in the configuration of the runbooks';
}

/** The exact finding, and what to do. */
export function taskText(
  place: Place,
  { findings, diagnosis }: Situation,
  tried: string | undefined,
): string {
  const named = findings.map((one) => `${findingText(one)}. Please: ${adviceFor(one, diagnosis)}.`);
  const before = tried === undefined ? '' : ` It was tried already: ${tried}.`;
  const provider = diagnosis.asksStatus ? ` ${capitalised(diagnosis.statusDetail.replace(/\.$/, ''))}.` : '';
  return `The database of ${targetOf(place)} cannot be worked with. ${named.map(capitalised).join(' ')}${provider}${before} This run goes on by itself when that is mended.`;
}
