/** What the worker of these tests offers. */
export { guard } from '../../../../src/workflows/guard/guard';
export { deployApplication } from '../../../../src/workflows/application/deploy-application/deploy-application';
export { rollBackDeployment } from '../../../../src/workflows/application/roll-back-deployment/roll-back-deployment';
