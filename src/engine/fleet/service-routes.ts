import { z } from 'zod'
import { isPikoError } from '../../errors.ts'
import { defineRoutes, type Routes } from '../../link/routes/define-routes.ts'
import type { RestartAnswer } from './fleet-services.ts'
import type { LocalServices } from './local-services.ts'

/** Creates the routes through which other nodes list and restart the services of this node. */
export function serviceRoutes(services: LocalServices): Routes {
  return defineRoutes({ prefix: '/services' })
    .on('/tree', () => services.tree)
    .on('/restart', { in: z.object({ service: z.string() }) }, async ({ body }): Promise<RestartAnswer> => {
      try {
        return await services.restart(body.service)
      } catch (error) {
        if (!isPikoError(error)) throw error
        return { refused: { code: error.code, message: error.message } }
      }
    })
}
