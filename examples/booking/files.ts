import { exampleFile, exampleProgram } from '../shared/files';

/** Path of a file of the sample that is not code, e.g. `schema.sql`. */
export const sampleFile = (name: string): string => exampleFile('booking', name);

/** Path of a program of the sample as compiled JavaScript. */
export const sampleProgram = (name: string): string => exampleProgram('booking', name);
