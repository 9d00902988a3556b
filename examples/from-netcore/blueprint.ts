// Netcore's `Blueprint(name, prefix)` with its middleware, hooks and error handler, here for its own routes only.
import { defineRoutes, dial, listen } from 'piko/link'

const admin = defineRoutes({
  prefix: '/admin',
  before: [({ headers }) => (headers['token'] === 'secret' ? undefined : { denied: true })],
  onError: (error) => ({ status: 500, body: { admin: (error as Error).message } }),
})
  .on('/stats', () => ({ users: 3 }))
  .on('/boom', () => {
    throw new Error('no paper')
  })

const site = defineRoutes({
  prefix: '/site',
  use: [
    async ({ route }, next) => {
      console.log('before', route)
      const result = await next()
      console.log('after', route)
      return result
    },
  ],
})
  .on('/home', () => 'home')
  .mount(admin)

await using server = listen({ port: 0, routes: [site] })
await server.start()
await using link = await dial({ url: server.url ?? '' })
console.log(await link.call('/site/home'))
console.log(await link.call('/site/admin/stats'))
const headers = { token: 'secret' }
console.log(await link.call('/site/admin/stats', undefined, { headers }))
console.log(
  await link
    .call('/site/admin/boom', undefined, { headers })
    .catch(({ details }: { details: { body: unknown } }) => details.body),
)

// Routes can change while the link is open.
site.remove(admin)
console.log(await link.call('/site/admin/stats').catch(({ code }: { code: string }) => code))
