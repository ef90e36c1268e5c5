/** For a program of one answer: prints it, or why there is none, with exit status 1. */
export function printAnswer(answer: () => string): void {
  try {
    console.log(answer());
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = 1;
  }
}
