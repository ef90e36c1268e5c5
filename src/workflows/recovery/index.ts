export { recoverFromCorruption } from './recover-from-corruption/recover-from-corruption';
export { recoverFromDisaster } from './recover-from-disaster/recover-from-disaster';
