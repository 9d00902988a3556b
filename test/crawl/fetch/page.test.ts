import { load } from 'cheerio'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { CrawlError } from '../../../src/crawl/crawl-error.ts'
import type { Page } from '../../../src/crawl/page.ts'
import { createPage } from '../../../src/crawl/page/create-page.ts'
import { thrown } from '../../support/thrown.ts'
import { requestFor } from './fetching.ts'

function pageOf(
  body: string | readonly number[],
  contentType = 'text/html',
  url = 'https://shop.test/list/?page=2',
): Page {
  const bytes = typeof body === 'string' ? Buffer.from(body) : Uint8Array.from(body)
  const headers = contentType === '' ? {} : { 'content-type': contentType }
  return createPage(requestFor(url), { url, status: 200, headers, bytes, ms: 3, isCached: false }, 2)
}

describe('the text of a page', () => {
  const euro = [0x80]
  const meta = (charset: string): number[] => [...Buffer.from(`<meta charset="${charset}">`), ...euro]

  it.each([
    ['the charset of its header', euro, 'text/html; charset=windows-1252', '€'],
    ['a quoted charset', [0xa4], 'text/html; charset="ISO-8859-15"', '€'],
    ['its byte order mark before the header', [0xef, 0xbb, 0xbf, 0xe2, 0x82, 0xac], 'text/html; charset=latin1', '€'],
    ['its mark of UTF-16', [0xff, 0xfe, 0xac, 0x20], 'text/html', '€'],
    ['its meta element', meta('windows-1252'), 'text/html', '<meta charset="windows-1252">€'],
    [
      'the content of its meta element',
      [...Buffer.from('<meta http-equiv=Content-Type content="text/html; charset=windows-1252">'), ...euro],
      '',
      '<meta http-equiv=Content-Type content="text/html; charset=windows-1252">€',
    ],
    [
      'its XML declaration',
      [...Buffer.from('<?xml version="1.0" encoding="windows-1252"?>'), ...euro],
      'application/xml',
      '<?xml version="1.0" encoding="windows-1252"?>€',
    ],
    ['UTF-8 without any', [0xe2, 0x82, 0xac], 'text/plain', '€'],
    ['windows-1252 if it is no UTF-8', euro, 'text/plain', '€'],
    [
      'its meta element for an unknown charset',
      meta('windows-1252'),
      'text/html; charset=none',
      '<meta charset="windows-1252">€',
    ],
    ['UTF-8 for an unknown charset', [0xe2, 0x82, 0xac], 'text/html; charset=klingon', '€'],
    ['Shift_JIS', [0x93, 0xfa], 'text/html; charset=shift_jis', '日'],
  ])('is decoded by %s', (_what, bytes, type, text) => {
    expect(pageOf(bytes, type).text()).toBe(text)
  })
})

describe('the JSON of a page', () => {
  it('is checked by a schema, and a wrong one shows no part of the body', () => {
    const Answer = z.object({ rows: z.array(z.number()) })
    expect(pageOf('{"rows":[1,2]}', 'application/json').json(Answer).rows).toEqual([1, 2])
    expect(pageOf('\ufeff{"a":1}', 'application/json').json()).toEqual({ a: 1 })
    const wrong = thrown(() => pageOf('{"rows":["secret"]}').json(Answer)) as CrawlError
    expect([wrong.class, wrong.status]).toEqual(['parse', 200])
    expect(wrong.message).toMatch(/^the body of https:\/\/shop.test\/list\/ is refused by the schema: rows.0: /)
    const none = thrown(() => pageOf('secret').json())
    expect(none.message).toBe('the body of https://shop.test/list/ is not JSON')
  })
})

describe('the document of a page', () => {
  it('is read by cheerio once', () => {
    const page = pageOf('<h1> Hi </h1><p>a<p>b')
    expect(page.html('h1').text()).toBe(' Hi ')
    expect(page.html()).toBe(page.html())
    expect(
      page
        .html('p')
        .toArray()
        .map((p) => page.html()(p).text()),
    ).toEqual(['a', 'b'])
  })

  it('is the one whose links were read before, and the one that cheerio would load', () => {
    for (const [text, xml] of [
      ['<!doctype html><p>a<a href=1>1</a><br><script>"<b>"</script><noscript><a href=2></noscript>', false],
      ['<x><a href="/1"/><![CDATA[<a href="/4"/>]]></x>', true],
    ] as const) {
      const page = pageOf(text, xml ? 'text/xml' : undefined)
      const count = page.links().length
      expect(page.html().html()).toBe(load(text, { xml }).html())
      expect(page.html().root().children().length).toBe(1)
      page.html('a').first().remove()
      expect(page.links().length).toBe(count - 1)
    }
  })

  it('of XML keeps its elements', () => {
    const page = pageOf('<rss><item><link>https://a.test/</link></item></rss>', 'application/rss+xml')
    expect(page.html('item > link').text()).toBe('https://a.test/')
  })
})

describe('the links of a page', () => {
  const body = `<a class=p href="a?x=1&amp;y=2#z">1</a><a href="/b">2</a><a href="//other.test/c">3</a><a href=mailto:x@y.z>4</a>
    <a href="javascript:void(0)">5</a><a>6</a><a href="http://[">7</a><a href="a?x=1&amp;y=2#other">8</a><area href="d"><a href="">9</a>`

  it('are absolute, of http and https alone, without duplicates', () => {
    const here = 'https://shop.test/list/'
    expect(pageOf(body).links()).toEqual([
      `${here}a?x=1&y=2`,
      'https://shop.test/b',
      'https://other.test/c',
      `${here}?page=2`,
    ])
    expect(pageOf(body).links('a.p')).toEqual([`${here}a?x=1&y=2`])
    expect(pageOf(body).links('area, a.p')).toEqual([`${here}a?x=1&y=2`, `${here}d`])
    expect(pageOf(body).links('p')).toEqual([])
  })

  it('are those of the selector a[href], in any document', () => {
    const nested = `<a href=1>1<a href=2>2</a></a><template><p><a href=3>3</a></p></template><svg><A href=4 xlink:href=5>4</A></svg>
      <table><a href=6>6</a><tr><td><a href=7>7</table><!-- <a href=8> --><noscript><a href=9></noscript><script>"<a href=10>"</script>
      <form><a href=11><form><a href=12></form><abbr href=13></abbr><select><a href=14></select><textarea><a href=15></textarea>`
    for (const html of [nested, body, '', '<frameset><frame src=x></frameset>', 'a'.repeat(10_000)])
      expect(pageOf(html).links()).toEqual(pageOf(html).links('a[href]'))
    expect(pageOf(nested).links().length).toBeGreaterThan(6)
    const xml = '<x><a href="/1"/><A href="/2"/><b:a href="/3"/><![CDATA[<a href="/4"/>]]></x>'
    expect(pageOf(xml, 'text/xml').links()).toEqual(pageOf(xml, 'text/xml').links('a[href]'))
  })

  it('begin at a base that the step has added', () => {
    const page = pageOf(body)
    ;(page.html('body') as unknown as { append: (html: string) => void }).append('<base href="https://cdn.test/">')
    expect(page.links('a.p')).toEqual(['https://cdn.test/a?x=1&y=2'])
  })

  it('begin at the base of the document', () => {
    const links = (base: string) => pageOf(`<base href="${base}">${body}`).links('a.p')
    expect(links('/deep/')).toEqual(['https://shop.test/deep/a?x=1&y=2'])
    expect(links('https://cdn.test/x/')).toEqual(['https://cdn.test/x/a?x=1&y=2'])
    expect(links('http://[')).toEqual(['https://shop.test/list/a?x=1&y=2'])
    expect(pageOf('<base href="data:text/plain,x"><a href="a">').links()).toEqual([])
  })
})

it('a page that would take minutes to parse fails by its size, and the next large one is parsed', () => {
  // The parser compares each attribute of a tag with all before it.
  const names = Array.from({ length: 120_000 }, (_, n) => `a${n.toString(36)}`).join(' ')
  const error = thrown(() => pageOf(`<p ${names}>`).links()) as CrawlError
  expect([error.class, error.message]).toEqual([
    'size',
    expect.stringMatching(
      /^https:\/\/shop\.test\/list\/\S* has a body of \d+ characters that takes more than \d+ ms to parse$/,
    ),
  ])
  expect(pageOf(`<p>${'x'.repeat(100_000)}<a href="/y">`).links()).toEqual(['https://shop.test/y'])
})
