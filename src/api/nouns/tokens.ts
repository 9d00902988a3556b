import { z } from 'zod'
import { ROLES } from '../actor.ts'
import { route } from '../route.ts'
import { flagText, givenDuration, givenInstant, idNumber, instant, name, page, pageOf } from '../values.ts'

const role = z.enum(ROLES)
const globs = z.array(z.string().min(1).max(128)).min(1).max(100).meta({
  description: 'Globs of the job ids to which the token is limited: `*` stands for any characters, `?` for one.',
})

export const token = z.object({
  id: idNumber,
  name: z.string(),
  role,
  jobs: globs.optional(),
  isValid: z.boolean().meta({ description: 'Neither revoked nor expired.' }),
  createdAt: instant,
  expiresAt: instant.optional(),
  revokedAt: instant.optional(),
  lastUsedAt: instant.optional().meta({ description: 'When it was last used, accurate to a minute.' }),
})

const which = name.meta({ description: 'The id of a token, or the name of one that is not revoked.' })
const params = z.strictObject({ token: which })
const EXAMPLE = {
  ...{ id: 3, name: 'grafana', role: 'viewer', isValid: true },
  createdAt: '2026-01-01T00:00:00.000Z',
}

export const TOKENS = [
  route({
    id: 'tokens.list',
    method: 'GET',
    path: '/tokens',
    role: 'admin',
    summary: 'Lists valid tokens, oldest first, without their secrets.',
    query: z.strictObject({
      all: flagText.optional().meta({ description: 'Also revoked and expired ones.' }),
      role: role.optional(),
      ...page,
    }),
    answer: pageOf(token),
    example: { query: { role: 'viewer' }, answer: { items: [EXAMPLE] } },
  }),
  route({
    id: 'tokens.create',
    method: 'POST',
    path: '/tokens',
    role: 'admin',
    summary: 'Creates a token. Only this response contains the token itself.',
    body: z.strictObject({
      name: z.string().min(1).max(100),
      role,
      jobs: globs.optional(),
      expiresAt: givenInstant.optional(),
      expiresIn: givenDuration.optional(),
    }),
    answer: token.extend({ token: z.string().meta({ description: 'The text for `Authorization: Bearer …`.' }) }),
    status: 201,
    example: {
      body: { name: 'grafana', role: 'viewer' },
      answer: { ...EXAMPLE, token: 'piko_…' },
    },
  }),
  route({
    id: 'tokens.show',
    method: 'GET',
    path: '/tokens/{token}',
    role: 'admin',
    summary: 'Shows one token, without its secret.',
    params,
    answer: token,
    example: { params: { token: 'grafana' }, answer: EXAMPLE },
  }),
  route({
    id: 'tokens.revoke',
    method: 'DELETE',
    path: '/tokens/{token}',
    role: 'admin',
    summary: 'Makes a token permanently invalid on all nodes.',
    params,
    answer: token,
    example: { params: { token: 'grafana' }, answer: { ...EXAMPLE, isValid: false } },
  }),
] as const
