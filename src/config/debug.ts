/** Whether errors are shown with their stack: DEBUG is set to anything but nothing. */
export function debugWanted(): boolean {
  return (process.env['DEBUG'] ?? '') !== '';
}
