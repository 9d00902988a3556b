// Netcore's cache with a time to live; here also with a bound, and one load for many callers.
import { Piko } from 'piko'
import { defineCache } from 'piko/cache'

const pages = defineCache<string>({ name: 'pages', ttl: '5m' })
const app = new Piko({ jobs: [], settings: { piko: { log_level: 'silent' } } })
await app.start()
const cache = app.cache(pages)
await cache.set('home', 'welcome')
console.log(await cache.get('home'), await cache.get('away'))
let loads = 0
const load = async (): Promise<string> => {
  loads++
  return 'loaded'
}
const all = await Promise.all(Array.from({ length: 100 }, () => cache.fetch('page', load)))
console.log(all.length, new Set(all), loads)
await cache.delete('home')
console.log(await cache.get('home'))
await app.stop()
