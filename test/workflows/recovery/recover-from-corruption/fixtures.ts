/** What the worker of these tests offers. */
export { guard } from '../../../../src/workflows/guard/guard';
export { recoverFromCorruption } from '../../../../src/workflows/recovery/recover-from-corruption/recover-from-corruption';
