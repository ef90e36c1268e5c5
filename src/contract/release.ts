/** What is brought out: one commit, under one name. */
export interface Release {
  version: string;
  /** Hexadecimal, at least seven digits of it. */
  commit: string;
}

/** Whether one of them is the beginning of the other: tools print short ones. */
export function isSameCommit(one: string, other: string): boolean {
  const [short, long] = [one, other].map((each) => each.toLowerCase()).sort((a, b) => a.length - b.length);
  return short!.length >= 7 && long!.startsWith(short!);
}

/** Whether a deployment is that of a release; by its commit, or by its version where the list says no commit. */
export function isOf(
  deployment: { version?: string; commit?: string },
  { version, commit }: Release,
): boolean {
  return deployment.commit === undefined
    ? deployment.version === version
    : isSameCommit(deployment.commit, commit);
}
