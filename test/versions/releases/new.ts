import { release } from './release';

export { guard } from '../../../src/workflows/guard/guard';
export const { waiting, leading, part } = release('new');
