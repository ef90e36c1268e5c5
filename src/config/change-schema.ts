/** How something is changed from outside: by a request or by a command. */
import { z } from 'zod';
import { operationSchema } from './http-operation-schema';
import { commandSchema } from './primitives';

/** In the request only the `declared` names are known, and `fencingToken`. */
export function changeSchema(declared: readonly string[]) {
  return z
    .strictObject({
      operation: operationSchema([...declared, 'fencingToken']).optional(),
      command: commandSchema.optional(),
    })
    .refine(({ operation, command }) => (operation === undefined) !== (command === undefined), {
      message: 'one of operation, command',
    });
}

export type ChangeConfig = z.infer<ReturnType<typeof changeSchema>>;
