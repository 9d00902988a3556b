import type { Handlers } from '../handler.ts'
import { readableKinds } from '../live/readable-kinds.ts'

export const liveHandlers: Handlers<'live'> = {
  'live.page': (app, { query, actor }) => app.live.page({ ...query, kinds: readableKinds(actor, query.kinds) }),
}
