import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Actor } from '../../access/actor.ts'
import { SESSION } from '../../api/nouns/session.ts'
import { PikoError } from '../../errors.ts'
import { SESSION_COOKIE } from './authenticate.ts'
import type { Access } from '../../operations/tokens/access.ts'

/** Executes a login, and counts it if its token is wrong. */
type Counted = <T>(request: FastifyRequest, reply: FastifyReply, login: () => Promise<T>) => Promise<T>

const [OPEN] = SESSION

/** Adds the routes by which a browser logs in with a token, reads the current user, and logs out. */
export function sessionRoutes(
  server: FastifyInstance,
  { access, hasTls }: { readonly access: Access; readonly hasTls: boolean },
  counted: Counted,
): void {
  const login = async (request: FastifyRequest, reply: FastifyReply): Promise<object> => {
    const given = OPEN.body?.safeParse(request.body)
    if (!given?.success) throw new PikoError('REQUEST_INVALID', 'the body must be {"token": "…"} and nothing else')
    const opened = await access.openSession(given.data.token)
    if (!opened) throw new PikoError('TOKEN_INVALID', 'the token is unknown, revoked or expired')
    void reply.setCookie(SESSION_COOKIE, opened.secret, { ...cookieFor(request), maxAge: opened.lengthMs / 1_000 })
    void reply.code(201)
    return { ...shown(opened.actor), expiresInSeconds: opened.lengthMs / 1_000 }
  }
  const cookieFor = ({ headers }: FastifyRequest) =>
    ({
      httpOnly: true,
      sameSite: 'strict',
      path: '/',
      // If a proxy encrypts the connection to the browser, this server can see that only from the origin of the page.
      secure: hasTls || headers.origin?.startsWith('https:') === true,
    }) as const
  server.post(
    '/session',
    { config: { piko: { role: undefined, route: undefined, isPublic: true } } },
    (request, reply) => counted(request, reply, () => login(request, reply)),
  )
  server.get('/session', { config: { piko: { role: 'viewer', route: undefined } } }, ({ actor }) => shown(actor))
  server.delete(
    '/session',
    { config: { piko: { role: undefined, route: undefined, isPublic: true } } },
    async (request, reply) => {
      const cookie = request.cookies[SESSION_COOKIE]
      if (cookie !== undefined) await access.closeSession(cookie)
      return reply.clearCookie(SESSION_COOKIE, cookieFor(request)).code(204).send()
    },
  )
}

function shown({ kind, name, role, jobs }: Actor): object {
  return { kind, name, role, ...(jobs && { jobs }) }
}
