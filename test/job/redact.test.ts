import { describe, expect, it } from 'vitest'
import { redactText } from '../../src/job/redact.ts'

describe('redactText', () => {
  it.each([
    ['mysql://root:pw@db:3306/piko', 'mysql://root:[redacted]@db:3306/piko'],
    ['mysql+aiomysql://root:pw@db/piko', 'mysql+aiomysql://root:[redacted]@db/piko'],
    ['mysql://:pw@db', 'mysql://:[redacted]@db'],
    ['mysql://root:p@ss/w#rd@db:3306/piko', 'mysql://root:[redacted]@db:3306/piko'],
    ['mysql://root:12345@db:3306/piko', 'mysql://root:[redacted]@db:3306/piko'],
    ['{"url":"https://u:pw@h/","mail":"a@b"}', '{"url":"https://u:[redacted]@h/","mail":"a@b"}'],
    ['GET https://api/x?access_token=abc&page=2 failed', 'GET https://api/x?access_token=[redacted]&page=2 failed'],
    ['mysql://user:password@ss@db/piko', 'mysql://user:[redacted]@db/piko'],
    ['mysql://user:password1@db/piko', 'mysql://user:[redacted]@db/piko'],
    ['password=pw, next', 'password=[redacted], next'],
  ])('hides the secret of %s', (text, expected) => {
    expect(redactText(text)).toBe(expected)
  })

  it.each([
    'http://127.0.0.1:8080/readyz by ops@example.com',
    'http://host:8080',
    'http://h:8080/?mail=a@b',
    'at 10:30, a@b',
    'expected mysql://user:password@host:3306/database',
    '{"message":"expected mysql://user:password@host:3306/database"}',
    '',
  ])('leaves %j as it is', (text) => {
    expect(redactText(text)).toBe(text)
  })

  it('takes time in proportion to the length of a line without spaces', () => {
    const line = 'a://b:c'.repeat(100_000)
    const started = performance.now()
    redactText(line)
    expect(performance.now() - started).toBeLessThan(20_000)
  })
})
