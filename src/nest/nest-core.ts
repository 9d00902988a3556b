import { createRequire } from 'node:module'
import { optionalPackageNow } from '../optional-package.ts'

/** The parts of `@nestjs/core` that the module needs. Nest's own types are not used, so that Piko's types compile without Nest. */
export interface NestCore {
  /** The token of the list of all modules. */
  readonly ModulesContainer: object
  /** The token of a module's own injector. */
  readonly ModuleRef: object
}

/** A provider or a controller of a module. */
export interface InstanceWrapper {
  readonly token: unknown
  readonly name: unknown
  readonly metatype: unknown
  readonly instance: unknown
  /** Whether the instance is a value or comes from a factory. */
  readonly isNotMetatype: boolean
  /** False for a provider that is created for each request, or one that depends on such a provider. */
  isDependencyTreeStatic(): boolean
  readonly isTransient: boolean
}

export interface NestModule {
  readonly metatype: unknown
  readonly name: string
  /** The distance from the root module, which determines the order of the hooks of the life cycle. */
  distance: number
  readonly providers: ReadonlyMap<unknown, InstanceWrapper>
  readonly controllers: ReadonlyMap<unknown, InstanceWrapper>
}

export type NestModules = ReadonlyMap<unknown, NestModule>

export interface NestInjector {
  /** Creates an instance of a class with the providers that the module sees. */
  create(type: unknown): Promise<object>
}

let loaded: NestCore | undefined

/** @throws PikoError `PACKAGE_MISSING` */
export function nestCore(): NestCore {
  return (loaded ??= optionalPackageNow('@nestjs/core', 'PikoModule', () => {
    // `require` returns the same module as `import` does in the user's code.
    return createRequire(import.meta.url)('@nestjs/core') as NestCore
  }))
}
