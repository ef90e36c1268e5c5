import type { Message } from '../../kit';
import type { Incident } from './incident';

/** Messages wake whoever leads, and wait until it is known how incidents are led here. */
export function wakeful(incident: Incident, messages: Message[]): Message[] {
  return messages.map((message) => ({
    ...message,
    offered: () => incident.policy !== undefined && (message.offered?.() ?? true),
    refuse: (words) => {
      if (incident.policy === undefined)
        return 'the run still reads its configuration; send it again in a moment';
      return message.refuse?.(words);
    },
    take: (words, run) => {
      const answer = message.take(words, run);
      incident.woken = true;
      return answer;
    },
  }));
}

/** Names are compared as people write them. */
export function sameName(one: string, other: string): boolean {
  return one.trim().toLowerCase() === other.trim().toLowerCase();
}
