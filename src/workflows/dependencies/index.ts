export { reviewDependencies } from './review-dependencies/review-dependencies';
