export { serve, type LocalServer } from '../../examples/simulators/local-server';
