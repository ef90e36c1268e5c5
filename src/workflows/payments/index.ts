export { reconcilePayment } from './reconcile-payment/reconcile-payment';
