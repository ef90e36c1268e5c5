export { recoverAutosave } from './recover-autosave/recover-autosave';
