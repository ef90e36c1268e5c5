import type { z } from 'zod';

/** The parts of a schema's definition that lead to the schemas within it. */
interface Definition {
  type: string;
  shape?: Record<string, z.ZodType>;
  innerType?: z.ZodType;
  in?: z.ZodType;
  out?: z.ZodType;
  element?: z.ZodType;
  valueType?: z.ZodType;
  options?: z.ZodType[];
  left?: z.ZodType;
  right?: z.ZodType;
  getter?: () => z.ZodType;
}

/** The fields that a schema knows at a path; of a choice of several schemas those of all of them. */
export function keysAt(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  const found = path.reduce<z.ZodType[]>(
    (schemas, key) => schemas.flatMap((one) => within(one, key)),
    plain(schema),
  );
  return [...new Set(found.flatMap((one) => Object.keys(definitionOf(one).shape ?? {})))];
}

function within(schema: z.ZodType, key: PropertyKey): z.ZodType[] {
  const { shape, element, valueType } = definitionOf(schema);
  const inner = shape?.[String(key)] ?? element ?? valueType;
  return inner === undefined ? [] : plain(inner);
}

/** Without what is only wrapped around: optional, default, transformed; a choice becomes its options. */
function plain(schema: z.ZodType): z.ZodType[] {
  const { innerType, in: input, out, options, left, right, getter } = definitionOf(schema);
  const inner = [innerType, input, out, left, right, getter?.(), ...(options ?? [])].filter(
    (one) => one !== undefined,
  );
  return inner.length === 0 ? [schema] : inner.flatMap(plain);
}

function definitionOf(schema: z.ZodType): Definition {
  return schema.def;
}
