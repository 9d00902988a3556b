import { Piko } from '../app/piko.ts'
import type { PikoOptions } from '../app/piko-options.ts'
import { checkedCall } from '../call-options.ts'
import { aFunction, anything, flag } from '../options.ts'
import { constructorIn } from './construct.ts'
import { PikoLife } from './life.ts'
import { nestCore, type NestModules } from './nest-core.ts'

/** The options of `new Piko`, and the options of the module. */
export interface PikoModuleOptions extends PikoOptions {
  /** Whether the app starts with the application. Default true. With false, call `start()` of the injected `Piko`. */
  readonly start?: boolean
}

export interface PikoModulePlace {
  /** Whether all modules can use the app without importing this module. Default true. */
  readonly isGlobal?: boolean
}

/** Options that depend on other providers, such as a `ConfigService`. */
export interface PikoModuleAsyncOptions extends PikoModulePlace {
  // Nest's own types are not used, so that Piko's types compile without Nest. Nest checks the values.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly imports?: any[]
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly inject?: any[]
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly useFactory: (...injected: any[]) => PikoModuleOptions | Promise<PikoModuleOptions>
}

/** A dynamic module of Nest. */
export interface PikoDynamicModule {
  module: typeof PikoModule
  global: boolean
  // oxlint-disable-next-line typescript/no-explicit-any
  imports: any[]
  // oxlint-disable-next-line typescript/no-explicit-any
  providers: any[]
  // oxlint-disable-next-line typescript/no-explicit-any
  exports: any[]
}

const OPTIONS = Symbol('the options of PikoModule')
const LIFE = Symbol('the life cycle of Piko')
const ASYNC_EXAMPLE = { imports: anything, inject: anything, useFactory: aFunction, isGlobal: flag }

/**
 * Piko in an application of NestJS 11 or newer. It provides `Piko`, registers every provider and controller with `@job` methods, gives
 * resources their arguments from the container, and starts and stops with the application.
 *
 * @example
 * \@Module({ imports: [PikoModule.forRoot({ settings: { mysql: { dsn } } })], providers: [OrderJobs] })
 * export class AppModule {}
 */
export class PikoModule {
  /**
   * Creates the module from the options of `new Piko`. No files are searched for jobs.
   *
   * @param options `options.jobs` are added to the jobs of the providers
   */
  static forRoot(options: PikoModuleOptions & PikoModulePlace = {}): PikoDynamicModule {
    const { isGlobal, ...own } = options
    return PikoModule.forRootAsync({ ...(isGlobal !== undefined && { isGlobal }), useFactory: () => own })
  }

  /**
   * Like `forRoot`, with options from a function, which gets the providers that `inject` names.
   *
   * @throws PikoError `USAGE`, `PACKAGE_MISSING`
   * @example
   * PikoModule.forRootAsync({
   *   inject: [ConfigService],
   *   useFactory: (config: ConfigService) => ({ settings: { mysql: { dsn: config.getOrThrow('DSN') } } }),
   * })
   */
  static forRootAsync(options: PikoModuleAsyncOptions): PikoDynamicModule {
    const {
      imports = [],
      inject = [],
      useFactory,
      isGlobal = true,
    } = checkedCall('PikoModule.forRootAsync', ASYNC_EXAMPLE, options)
    const nest = nestCore()
    return {
      module: PikoModule,
      global: isGlobal,
      imports,
      providers: [
        { provide: OPTIONS, inject, useFactory },
        {
          provide: Piko,
          inject: [OPTIONS, nest.ModulesContainer],
          useFactory: ({ start: _start, ...own }: PikoModuleOptions, modules: NestModules) =>
            new Piko({ jobs: [], construct: constructorIn(modules, nest), ...own }),
        },
        {
          provide: LIFE,
          inject: [Piko, OPTIONS, nest.ModulesContainer],
          useFactory: (app: Piko, { start = true }: PikoModuleOptions, modules: NestModules) =>
            new PikoLife(app, modules, PikoModule, start),
        },
      ],
      exports: [Piko],
    }
  }
}
