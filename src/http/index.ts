export type { Check, Health } from '../app/health.ts'
export { HttpService } from './http-service.ts'
export type { ServedApp } from './served-app.ts'
