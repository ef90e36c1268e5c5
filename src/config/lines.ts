import { isAlias, isMap, isScalar, isSeq, type Document, type LineCounter, type Node } from 'yaml';

/** Finds the line of a path in a YAML document: of the last part of it that is there. Undefined where nothing is. */
export function lineFinder(
  document: Document.Parsed,
  lines: LineCounter,
): (path: readonly PropertyKey[]) => number | undefined {
  return (path) => {
    let node: unknown = document.contents;
    let at: number | undefined;
    for (const key of path) {
      const step = stepInto(isAlias(node) ? node.resolve(document) : node, key);
      if (step === undefined) break;
      at = step.at?.range?.[0] ?? at;
      node = step.node;
    }
    return at === undefined ? undefined : lines.linePos(at).line;
  };
}

function stepInto(node: unknown, key: PropertyKey): { at: Node | undefined; node: unknown } | undefined {
  if (isSeq(node)) {
    // Messages name an item by its name where it has one.
    const item = (node.items[Number(key)] ??
      node.items.find((one) => isMap(one) && one.get('name') === key)) as Node | undefined;
    return item === undefined ? undefined : { at: item, node: item };
  }
  if (!isMap(node)) return undefined;
  const pair = node.items.find((one) => isScalar(one.key) && String(one.key.value) === String(key));
  return pair === undefined ? undefined : { at: pair.key as Node, node: pair.value };
}
