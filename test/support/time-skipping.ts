export { createTimeSkippingEnvironment } from '../../src/local/time-skipping';
