export { guard } from './guard';
export { places } from './places';
