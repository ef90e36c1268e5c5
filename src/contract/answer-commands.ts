import type { Waiting } from './report';

/** The commands that answer what a run waits for, ready to be pasted. */
export function answerCommands(workflowId: string, waiting: Waiting): string[] {
  const id = quote(workflowId);
  switch (waiting.kind) {
    case 'approval':
      return [
        `runbooks approve ${id} --plan ${waiting.id}`,
        `runbooks reject ${id} --plan ${waiting.id} --note "why"`,
      ];
    case 'decision':
      return (waiting.choices ?? []).map(
        (choice) => `runbooks decide ${id} --question ${quote(waiting.id)} --choice ${quote(choice)}`,
      );
    case 'task':
      return [`runbooks done ${id} --task ${quote(waiting.id)}`];
    case 'paused':
      return ['runbooks resume --reason "why"'];
  }
}

/** Quotes for a POSIX shell only where it must. */
export function quote(text: string): string {
  return /^[\w./:@%+=-]+$/.test(text) ? text : `'${text.replace(/'/g, `'\\''`)}'`;
}
