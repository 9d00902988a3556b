import { expect, it } from 'vitest'
import { z } from 'zod'
import { parseConfig } from '../../src/job/schemas/run-config.ts'
import { defineJob } from '../../src/job/define-job.ts'
import { thrown } from '../support/thrown.ts'

const config = z.object({
  shop: z.string().default('eu'),
  pages: z.object({ first: z.number().int(), last: z.number().int() }).optional(),
})
const withSchema = defineJob({ id: 'sync', config }, () => {})
const without = defineJob({ id: 'free' }, () => {})

it('fills in the defaults of the schema', () => {
  expect(parseConfig(withSchema, undefined)).toEqual({ shop: 'eu' })
  expect(parseConfig(withSchema, null)).toEqual({ shop: 'eu' })
  expect(parseConfig(withSchema, { shop: 'us' })).toEqual({ shop: 'us' })
})

it('names every problem with its path and the offending config', () => {
  const error = thrown(() => parseConfig(withSchema, { shop: 1, pages: { first: 1.5 } }))
  expect(error.code).toBe('CONFIG_INVALID')
  expect(error.message).toMatch(
    /^the config \{"shop":1,"pages":\{"first":1\.5\}\} of job "sync" does not match its schema: shop: .+; pages\.first: .+; pages\.last: .+$/,
  )
  expect(error.details).toMatchObject({ jobId: 'sync', problems: [expect.stringMatching(/^shop: /), {}, {}] })
})

it('names a config that is wrong as a whole', () => {
  expect(thrown(() => parseConfig(withSchema, 'eu')).message).toMatch(/does not match its schema: config: /)
})

it('accepts any object when the job has no schema, and nothing else', () => {
  expect(parseConfig(without, undefined)).toEqual({})
  expect(parseConfig(without, { any: ['thing'] })).toEqual({ any: ['thing'] })
  expect(thrown(() => parseConfig(without, '{shop: eu}'))).toMatchObject({
    code: 'CONFIG_INVALID',
    message: 'the config of job "free" is "{shop: eu}"; expected an object',
  })
  expect(thrown(() => parseConfig(without, [1])).code).toBe('CONFIG_INVALID')
})
