import type { Handlers } from '../handler.ts'

export const liveHandlers: Handlers<'live'> = {
  'live.page': (app, { query }) => app.live.page(query),
}
