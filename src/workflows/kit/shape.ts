/**
 * Signals can come from anybody, and an error in a handler would end the run before its way back: what has another shape is
 * not heard.
 */
import type { AlertNotice } from '../../contract/alert';
import { isRelease, type AdmissionNotice } from '../../contract/guard';
import { MODES } from '../../contract/modes';
import type { LeaseAnswer } from './messages';
import type { ChildRests } from './place-of-parent';

type Heard<T> = Partial<T> | null | undefined;

const areTexts = (...values: unknown[]): boolean => values.every((value) => typeof value === 'string');
const isTextOrAbsent = (value: unknown): boolean => value === undefined || typeof value === 'string';

export function isLeaseAnswer(heard: Heard<LeaseAnswer>): heard is LeaseAnswer {
  const { target, state, token, holder } = heard ?? {};
  return areTexts(target, holder) && ['queued', 'granted'].includes(String(state)) && Number.isFinite(token);
}

export function isVerdict(heard: Heard<AdmissionNotice>): heard is AdmissionNotice {
  const { target, state, mode, reason, tripped, notBefore, shard } = heard ?? {};
  return (
    areTexts(target, reason) &&
    isTextOrAbsent(tripped) &&
    ['queued', 'admitted'].includes(String(state)) &&
    MODES.some((known) => known === mode) &&
    (notBefore === undefined || !Number.isNaN(Date.parse(notBefore))) &&
    (shard === undefined || Number.isInteger(shard))
  );
}

export function isAlertNotice(heard: Heard<AlertNotice>): heard is AlertNotice {
  const { status, count, at, startsAt, news } = heard ?? {};
  return (
    ['firing', 'resolved'].includes(String(status)) &&
    Number.isFinite(count) &&
    areTexts(at) &&
    isTextOrAbsent(startsAt) &&
    isTextOrAbsent(news)
  );
}

export function isChildRests(heard: Heard<ChildRests>): heard is ChildRests {
  return isRelease(heard) && typeof heard.rests === 'boolean';
}
