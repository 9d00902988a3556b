import { z } from 'zod'
import { ACTOR_KINDS, ROLES } from '../../access/actor.ts'
import { MAX_TOKEN_CHARACTERS } from '../../access/token.ts'
import { route } from '../route.ts'
import { count } from '../values.ts'

const actor = z.object({
  kind: z.enum(ACTOR_KINDS).meta({ description: 'How the request came.' }),
  name: z.string().meta({ description: 'The name of the token, or `loopback`.' }),
  role: z.enum(ROLES),
  jobs: z.array(z.string()).optional().meta({ description: 'Globs of the jobs to which it is limited.' }),
})

const EXAMPLE = { kind: 'session', name: 'anna', role: 'operator' } as const

/** The session of a browser. The server handles these routes separately, because two of them set or delete a cookie. */
export const SESSION = [
  route({
    id: 'session.open',
    method: 'POST',
    path: '/session',
    role: 'viewer',
    ...{ isPublic: true, isRead: true },
    summary: 'Opens the session of a browser with a token.',
    description: 'The answer sets the cookie `piko_session`: HttpOnly, SameSite=Strict, and Secure over HTTPS.',
    body: z.strictObject({ token: z.string().min(1).max(MAX_TOKEN_CHARACTERS) }),
    answer: actor.extend({ expiresInSeconds: count }),
    status: 201,
    example: { body: { token: 'piko_…' }, answer: { ...EXAMPLE, expiresInSeconds: 43_200 } },
  }),
  route({
    id: 'session.show',
    method: 'GET',
    path: '/session',
    role: 'viewer',
    summary: 'Shows who makes the request.',
    answer: actor,
    example: { answer: EXAMPLE },
  }),
  route({
    id: 'session.close',
    method: 'DELETE',
    path: '/session',
    role: 'viewer',
    ...{ isPublic: true, isRead: true },
    summary: 'Ends the session of a browser, and deletes its cookie.',
  }),
] as const
