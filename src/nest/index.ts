export {
  type PikoDynamicModule,
  PikoModule,
  type PikoModuleAsyncOptions,
  type PikoModuleOptions,
  type PikoModulePlace,
} from './piko-module.ts'
