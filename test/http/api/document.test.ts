import { Validator } from '@seriousme/openapi-schema-validator'
import { expect, it } from 'vitest'
import { openApiOf } from '../../../src/api/openapi.ts'
import { DOCUMENTED } from '../../../src/api/routes.ts'
import { statusOf } from '../../../src/api/status-of.ts'
import { ERROR_CODES } from '../../../src/errors.ts'

const document = openApiOf(DOCUMENTED, { base: '/api/v1', version: '1.0.0' })

it('the document is valid OpenAPI 3.1', async () => {
  const { valid, errors } = await new Validator().validate(
    JSON.parse(JSON.stringify(document)) as Record<string, unknown>,
  )
  expect(errors).toBeUndefined()
  expect(valid).toBe(true)
})

it('each route has an id of its own, and one method and path', () => {
  const ids = DOCUMENTED.map(({ id }) => id)
  expect([...new Set(ids)]).toEqual(ids)
  const places = DOCUMENTED.map(({ method, path }) => `${method} ${path.replaceAll(/\{\w+\}/g, '{}')}`)
  expect([...new Set(places)]).toEqual(places)
})

it('describes each noun, and gives an example of each answer', () => {
  expect(document.tags?.filter(({ name, description }) => name === description)).toEqual([])
  expect(DOCUMENTED.filter(({ answer, example }) => answer && example.answer === undefined)).toEqual([])
})

it('each error code has a status from 400 to 599', () => {
  for (const code of ERROR_CODES)
    expect(statusOf(code), code).toSatisfy((status: number) => status >= 400 && status < 600)
})
