import { PikoError } from '../errors.ts'
import type { Resource, ResourceClass } from '../resource/resource.ts'
import { constructed } from '../resource/resource-pool.ts'
import { wrappersOf } from './discover.ts'
import type { NestCore, NestInjector, NestModules } from './nest-core.ts'

/**
 * Creates instances of resources. If a module provides a resource, the module's providers become the arguments of its constructor. A
 * provided value, such as a fake in a test, is used as it is.
 */
export function constructorIn(
  modules: NestModules,
  { ModuleRef }: NestCore,
): (resourceClass: ResourceClass) => Promise<Resource<unknown>> {
  return async (resourceClass) => {
    for (const [module, wrapper] of wrappersOf(modules)) {
      if (wrapper.token !== resourceClass) continue
      if (wrapper.isNotMetatype) return wrapper.instance as Resource<unknown>
      const injector = module.providers.get(ModuleRef)?.instance as NestInjector
      return (await injector.create(wrapper.metatype)) as Resource<unknown>
    }
    if (resourceClass.length === 0) return constructed(resourceClass)
    throw new PikoError(
      'RESOURCE_INVALID',
      `resource ${resourceClass.name} needs arguments for its constructor, and no module provides it; add it to the providers of the module whose jobs use it`,
      { details: { resource: resourceClass.name } },
    )
  }
}
