import { optionalPackageNow } from '../optional-package.ts'
import { loadPackage } from '../load-package.ts'

/** The parts of `@nestjs/core` that this module needs. Nest's own types are not imported, so that Piko's types compile without Nest. */
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
  /** Whether the provider is a value or a factory. */
  readonly isNotMetatype: boolean
  /** Whether Nest creates the provider only once. False if Nest creates the provider, or one that it depends on, for each request. */
  isDependencyTreeStatic(): boolean
  readonly isTransient: boolean
}

export interface NestModule {
  readonly metatype: unknown
  readonly name: string
  /** The distance from the root module. It decides the order of the life cycle hooks. */
  distance: number
  readonly providers: ReadonlyMap<unknown, InstanceWrapper>
  readonly controllers: ReadonlyMap<unknown, InstanceWrapper>
}

export type NestModules = ReadonlyMap<unknown, NestModule>

export interface NestInjector {
  /** Creates an instance of a class from the providers that the module can access. */
  create(type: unknown): Promise<object>
}

let loaded: NestCore | undefined

/** Loads `@nestjs/core`. @throws PikoError `PACKAGE_MISSING` */
export function nestCore(): NestCore {
  return (loaded ??= optionalPackageNow('@nestjs/core', 'PikoModule', () => {
    // `require` returns the same module that the user's code gets from `import`.
    return loadPackage<NestCore>('@nestjs/core')
  }))
}
