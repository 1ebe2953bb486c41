// The phone in a real browser, against the real program: what a newcomer taps, and what must never go wrong on the way.

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { artifacts, ask, openBrowser, startFenhao } from './fenhao.mjs';

let fenhao;
let browser;

before(async () => {
  await mkdir(artifacts, { recursive: true });
  browser = await openBrowser();
  fenhao = await startFenhao('dev', '--json', '--listen', '127.0.0.1:0', '--sandbox-listen', '127.0.0.1:0', '--data', '{data}');
}, { timeout: 180_000 });

after(async () => {
  await browser?.close();
  await fenhao?.stop();
});

const control = (p, method, body) => ask(`${fenhao.sandbox}/sandbox/v1${p}`, method, body);

/**
 * phone opens the page on a fresh browser profile and gives it to fn. Afterwards nothing may have gone wrong in the page:
 * no error on its console, no request to another origin. `errors` matches console errors that the case itself provokes.
 */
async function phone({ width = 1280, height = 800, lang = 'zh', theme = 'light', url = fenhao.phone, errors = null, user = null, prepare = null } = {}, fn) {
  const context = await browser.newContext({
    viewport: { width, height }, locale: lang === 'zh' ? 'zh-CN' : 'en-US', colorScheme: theme, hasTouch: width < 760,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const wrong = [];
  page.on('console', (m) => { if (m.type() === 'error' && !errors?.test(m.text())) wrong.push(`console: ${m.text()} (${m.location().url})`); });
  page.on('pageerror', (e) => wrong.push(`error: ${e.stack}`));
  page.on('request', (r) => { if (new URL(r.url()).origin !== new URL(url).origin) wrong.push(`request to ${r.url()}`); });
  try {
    await prepare?.(page, context);
    await page.goto(url);
    if (user) await takeOver(page, user);
    const result = await fn(page, context);
    assert.deepEqual(wrong, []);
    return result;
  } catch (err) {
    await page.screenshot({ path: path.join(artifacts, 'failed.png') }).catch(() => {});
    throw err;
  } finally {
    await context.close();
  }
}

/** takeOver hands the phone to a user of the test's own, whose orders no other test sees. */
async function takeOver(page, user) {
  await page.locator('.good').first().waitFor();
  await page.locator('[data-group=user] input[name=name]').fill(user);
  await page.locator('[data-group=user] form button').click();
  await page.locator(`[data-user="${user}"][aria-pressed=true]`).waitFor();
  await page.locator('main[data-shop=ready]').waitFor();
}

/** order taps a product and "pay", up to the cashier; resolves to the sum shown there, in fen. */
async function order(page, nth = 0) {
  await page.locator('.good').nth(nth).click();
  await page.locator('[data-act=buy]').click();
  const sum = await page.locator('[data-sheet=cashier] .cashier-sum').textContent();
  return Number(sum.replace(/\D/g, ''));
}

const settle = (page, action) => page.locator(`[data-sheet=cashier] [data-act=${action}]`).click();
const becomes = (page, state) => page.locator(`main.result[data-state=${state}]`).waitFor({ timeout: 30_000 });
const numberOf = (page) => page.locator('.facts dd.mono').first().textContent();
const payment = (number) => control(`/payments/${encodeURIComponent(number)}`);
const journal = async (number) => (await control(`/journal?out_trade_no=${encodeURIComponent(number)}&after=0`)).data;

/** chip taps a one-shot chip and waits until the sandbox has it. */
async function chip(page, name) {
  await page.locator(`[data-fault=${name}]`).click();
  await page.locator(`[data-fault=${name}][aria-pressed=true]`).waitFor();
}

describe('buying', () => {
  test('a purchase by taps turns paid', () => phone({ user: 'buyer' }, async (page) => {
    const sum = await order(page);
    await settle(page, 'pay');
    await becomes(page, 'paid');
    const number = await numberOf(page);
    const books = await payment(number);
    assert.equal(books.state, 'SUCCESS');
    assert.equal(books.amount, sum);
    assert.ok(books.paid_at && books.transaction_id);

    // The timeline tells the same, without being asked.
    await page.locator(`[data-payment="${number}"][aria-current=true] .pill.success`).waitFor();
    await page.locator('.lane li.done').nth(3).waitFor();
    for (const kind of ['shop', 'call', 'user', 'notification']) await page.locator(`.entry[data-kind=${kind}]`).first().waitFor();
    assert.equal(await page.locator('.ribbon').getAttribute('data-result'), 'requestPayment:ok');
    await page.locator('.ribbon-head').click();
    assert.match(await page.locator('.ribbon pre').textContent(), /"package": "prepay_id=/);

    // What is shown of a call is what was sent, without the session.
    await page.locator('.entry[data-kind=shop] .entry-head').first().click();
    const shown = await page.locator('.entry[data-kind=shop] pre').first().textContent();
    assert.match(shown, /POST \/mp\/v1\/orders/);
    assert.match(shown, /Bearer \[token\]/);
    assert.match(shown, /"quantity": 1/);
  }));

  test('cancelled, the order stays and can be paid again', () => phone({ user: 'canceller' }, async (page) => {
    await order(page);
    await settle(page, 'cancel');
    await becomes(page, 'cancelled');
    const number = await numberOf(page);
    assert.equal((await payment(number)).state, 'NOTPAY');
    assert.equal(await page.locator('.ribbon').getAttribute('data-result'), 'requestPayment:fail cancel');
    await page.locator('.word.ok').waitFor();

    await page.locator('[data-act=orders]').click();
    await page.locator('.order[data-state=pending] [data-act=pay-again]').click();
    await settle(page, 'pay');
    await becomes(page, 'paid');
    assert.equal(await numberOf(page), number, 'paid again under another number');
    assert.equal((await payment(number)).state, 'SUCCESS');
  }));

  test('failed, nothing is charged', () => phone({ user: 'failer' }, async (page) => {
    await order(page);
    await settle(page, 'fail');
    await becomes(page, 'failed');
    assert.equal((await payment(await numberOf(page))).state, 'NOTPAY');
    assert.match(await page.locator('.ribbon').getAttribute('data-result'), /^requestPayment:fail (?!cancel)/);
    await page.locator('main.result [data-act=pay-again]').click();
    await settle(page, 'pay');
    await becomes(page, 'paid');
  }));

  test('a pending order can be closed', () => phone({ user: 'closer' }, async (page) => {
    await order(page);
    await settle(page, 'cancel');
    await becomes(page, 'cancelled');
    const number = await numberOf(page);
    await page.locator('main.result [data-act=close]').click();
    await becomes(page, 'closed');
    assert.equal((await payment(number)).state, 'CLOSED');
  }));

  test('two taps are one order', () => phone({ user: 'doubletapper' }, async (page) => {
    const count = async () => (await control('/payments')).data.length;
    const before = await count();
    await page.locator('.good').first().click();
    await page.locator('[data-act=buy]').evaluate((button) => { button.click(); button.click(); button.click(); });
    await page.locator('[data-sheet=cashier]').waitFor();
    await page.locator('[data-sheet=cashier] [data-act=pay]').evaluate((button) => { button.click(); button.click(); });
    await becomes(page, 'paid');
    assert.equal(await count(), before + 1);
  }));

  test('quantity is multiplied by the server', () => phone({ user: 'hoarder' }, async (page) => {
    const one = await order(page, 1);
    await settle(page, 'cancel');
    await page.locator('main.result[data-state=cancelled] [data-act=orders]').click();
    await page.locator('[data-tab=shop]').click();
    await page.locator('.good').nth(1).click();
    const more = page.locator('.stepper button').nth(1);
    await more.click();
    await more.click();
    await page.locator('[data-act=buy]').click();
    const three = Number((await page.locator('.cashier-sum').textContent()).replace(/\D/g, ''));
    assert.equal(three, 3 * one);
  }));
});

describe('when things go wrong', () => {
  test('a dropped notification still turns paid, by query', () => phone({ user: 'unnotified' }, async (page) => {
    await chip(page, 'drop');
    await order(page);
    await settle(page, 'pay');
    await becomes(page, 'paid');
    const number = await numberOf(page);
    const told = (await control('/notifications')).data.filter((n) => n.out_trade_no === number && n.attempts.some((a) => a.status >= 200 && a.status < 300));
    assert.deepEqual(told, []);
    assert.ok((await journal(number)).some((e) => e.kind === 'call' && e.method === 'GET'), 'the service never asked');
    assert.equal(await page.locator('[data-fault=drop]').getAttribute('aria-pressed'), 'false');
  }));

  test('a forged notification is refused, the next one sent by hand is taken', () => phone({ user: 'forged' }, async (page) => {
    await chip(page, 'bad_signature');
    await order(page);
    await settle(page, 'pay');
    await becomes(page, 'paid');
    const number = await numberOf(page);
    await page.locator('.entry[data-kind=notification].bad').waitFor();
    await page.locator('[data-act=resend]').click();
    await page.locator('.entry[data-kind=notification].ok').waitFor();
    const [notification] = (await control('/notifications')).data.filter((n) => n.out_trade_no === number);
    assert.ok(notification.attempts[0].status >= 400);
    assert.ok(notification.attempts.at(-1).status < 300);
  }));

  test('the phone does not believe the cashier', () => phone({
    user: 'believer',
    prepare: (page) => page.route('**/sandbox/v1/request-payment', (route) => route.fulfill({ json: { errMsg: 'requestPayment:ok' } })),
  }, async (page) => {
    await order(page);
    await settle(page, 'pay');
    await becomes(page, 'confirming');
    await page.locator('main.result .word').waitFor();
    assert.equal(await page.locator('main.result [data-act=pay-again]').count(), 0, 'invites to pay twice');
    assert.equal((await payment(await numberOf(page))).state, 'NOTPAY');
    // Paid behind its back, it learns so from the shop.
    const args = await page.locator('.ribbon-head').click().then(() => page.locator('.ribbon pre').textContent());
    const parameters = JSON.parse(args.replace(/^wx\.requestPayment\(|\)$/g, ''));
    await control('/request-payment', 'POST', { app_id: fenhao.app_id, user: 'believer', action: 'pay', ...parameters });
    await becomes(page, 'paid');
  }));

  test('a lost answer is repeated under the same key: one order', () => phone({ user: 'loser', errors: /Failed to load resource/ }, async (page) => {
    let key;
    await page.route('**/phone/service/mp/v1/orders', async (route) => {
      if (route.request().method() !== 'POST') return route.continue();
      if (!key) {
        key = route.request().headers()['idempotency-key'];
        await route.fetch(); // it arrives; its answer does not
        return route.abort('connectionreset');
      }
      assert.equal(route.request().headers()['idempotency-key'], key);
      return route.continue();
    });
    const before = (await control('/payments')).data.length;
    await page.locator('.good').first().click();
    await page.locator('[data-act=buy]').click();
    await page.locator('.sheet .notice').waitFor();
    await page.locator('[data-act=buy]').click();
    await page.locator('[data-sheet=cashier]').waitFor();
    assert.equal((await control('/payments')).data.length, before + 1);
  }));

  test('an expired session logs in again, silently', () => phone({ user: 'sleeper', errors: /401/ }, async (page) => {
    let refused = 0;
    await page.route('**/phone/service/mp/v1/orders', (route) => {
      if (route.request().method() === 'POST' && refused++ === 0) return route.fulfill({ status: 401, json: { code: 'session_expired' } });
      return route.continue();
    });
    const logins = [];
    page.on('request', (r) => { if (r.url().endsWith('/mp/v1/login')) logins.push(r); });
    await order(page);
    assert.equal(logins.length, 1);
    await settle(page, 'pay');
    await becomes(page, 'paid');
  }));

  test('a service that is away is named, with the way to start it, and found again', () => phone({
    errors: /502/,
    prepare: (page) => page.route('**/phone/service/**', (route) => route.fulfill({ status: 502, json: { code: 'service_unreachable', message: 'connection refused' } })),
  }, async (page) => {
    const state = page.locator('.state[data-error=service_unreachable]');
    await state.waitFor();
    const text = await state.textContent();
    assert.ok(text.includes(fenhao.service), text);
    assert.match(text, /fenhao serve/);
    await page.screenshot({ path: path.join(artifacts, 'service-away.png') });
    await page.unroute('**/phone/service/**');
    await page.locator('.good').first().waitFor();
  }));

  test('without a service the page says which flag is missing', async () => {
    const alone = await startFenhao('sandbox', '--json', '--listen', '127.0.0.1:0');
    try {
      await phone({ url: alone.phone, lang: 'en' }, async (page) => {
        assert.match(await page.locator('.state[data-error=service_missing]').textContent(), /fenhao sandbox --service http:\/\/127\.0\.0\.1:8080/);
        await page.locator('[data-empty]').waitFor();
        assert.ok((await page.locator('[data-empty]').textContent()).includes(alone.sandbox));
        await page.screenshot({ path: path.join(artifacts, 'service-missing.png') });
      });
    } finally {
      await alone.stop();
    }
  });

  test('without server-sent events it polls', () => phone({
    user: 'poller', errors: /Failed to load resource/, prepare: (page) => page.route('**/journal/stream*', (route) => route.abort()),
  }, async (page) => {
    await page.locator('#app[data-link=polling]').waitFor();
    await order(page);
    await settle(page, 'pay');
    await becomes(page, 'paid');
    await page.locator(`[data-payment="${await numberOf(page)}"] .pill.success`).waitFor();
  }));
});

describe('beside the phone', () => {
  test('what happens on one page shows on another', () => phone({}, async (watcher) => {
    await watcher.locator('#app[data-link=live]').waitFor();
    const number = await phone({ user: 'watched' }, async (page) => {
      await order(page);
      await settle(page, 'pay');
      await becomes(page, 'paid');
      return numberOf(page);
    });
    await watcher.locator(`[data-payment="${number}"] .pill.success`).waitFor();
  }));

  test('every control says which call it is', () => phone({ user: 'reader' }, async (page) => {
    for (const control of await page.locator('[data-fault], [data-advance], [data-user], .group [data-act=reset]').all()) {
      assert.match(await control.getAttribute('title'), /(GET|POST|DELETE) \/sandbox\/v1\//);
    }
    await page.locator('[data-fault=drop]').focus();
    await page.locator('.strip code', { hasText: 'POST /sandbox/v1/faults {"on":"notify.payment"' }).waitFor();
  }));

  test('the clock moves forward', () => phone({}, async (page) => {
    const { now } = await control('/clock');
    await page.locator('[data-advance="5m"]').click();
    await page.locator('.toast.ok').waitFor();
    const moved = Date.parse((await control('/clock')).now) - Date.parse(now);
    assert.ok(moved >= 300_000 && moved < 330_000, `moved by ${moved} ms`);
  }));

  test('a chip can be disarmed', () => phone({ user: 'disarmer' }, async (page) => {
    await chip(page, 'duplicate');
    assert.ok((await control('/faults')).data.some((f) => f.kind === 'duplicate' && f.on === 'notify.payment'));
    await page.locator('[data-fault=duplicate]').click();
    await page.locator('[data-fault=duplicate][aria-pressed=false]').waitFor();
    assert.ok(!(await control('/faults')).data.some((f) => f.kind === 'duplicate'));
  }));

  test('the keyboard alone is enough', () => phone({ user: 'typist' }, async (page) => {
    const focused = (selector) => page.waitForFunction((s) => document.activeElement?.matches(s), selector);
    await page.locator('.good').first().focus();
    await page.keyboard.press('Enter');
    await focused('[data-act=buy]');
    await page.keyboard.press('Escape');
    await focused('.good');
    await page.keyboard.press('Enter');
    await focused('[data-act=buy]');
    await page.keyboard.press('Enter');
    await focused('[data-sheet=cashier] [data-act=pay]');
    await page.keyboard.press('Enter');
    await becomes(page, 'paid');
    await page.locator('.lane li.done').nth(3).waitFor();
    await page.evaluate(() => document.activeElement?.blur());
    await page.keyboard.press('j');
    await focused('.entry:nth-child(1) .entry-head');
    await page.keyboard.press('j');
    await focused('.entry:nth-child(2) .entry-head');
    await page.keyboard.press('k');
    await page.keyboard.press('Enter');
    await page.locator('.entry:nth-child(1) .entry-body').waitFor();
  }));

  test('Back goes where it goes on a phone, and a reload stays', () => phone({ user: 'goer' }, async (page) => {
    await order(page);
    await settle(page, 'pay');
    await becomes(page, 'paid');
    const number = await numberOf(page);
    await page.reload();
    await becomes(page, 'paid');
    assert.equal(await numberOf(page), number);
    await page.locator('[data-act=orders]').click();
    await page.locator('.order').first().waitFor();
    await page.goBack();
    await becomes(page, 'paid');
    await page.goBack();
    await page.locator('.good').first().waitFor();
    assert.equal(new URL(page.url()).hash, '');
  }));

  test('money is printed to the fen', () => phone({}, async (page) => {
    await page.locator('.good').first().waitFor();
    const printed = await page.evaluate(async () => {
      const app = document.querySelector('script[type=module]').src;
      const { yuan } = await import(app.replace('app.js', 'format.js'));
      return [0, 1, 9, 10, 99, 100, 998, 1999, 100000, 123456789, 900719925474099, -5].map(yuan);
    });
    assert.deepEqual(printed, ['0.00', '0.01', '0.09', '0.10', '0.99', '1.00', '9.98', '19.99', '1,000.00', '1,234,567.89', '9,007,199,254,740.99', '-0.05']);
  }));

  test('language and appearance are remembered', () => phone({ lang: 'en', theme: 'light' }, async (page) => {
    assert.equal(await page.locator('html').getAttribute('lang'), 'en');
    await page.locator('[data-act=lang]').click();
    await page.waitForFunction(() => document.documentElement.lang === 'zh-CN' && document.title.includes('模拟器'));
    await page.locator('[data-act=theme]').click();
    await page.locator('[data-act=theme]').click();
    await page.reload();
    await page.locator('.good').first().waitFor();
    assert.equal(await page.locator('html').getAttribute('lang'), 'zh-CN');
    assert.equal(await page.locator('html').getAttribute('data-theme'), 'dark');
    assert.equal(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), 'rgb(15, 18, 17)');
  }));
});

describe('the look', () => {
  for (const width of [360, 820, 1280]) {
    for (const [lang, theme] of [['zh', 'light'], ['zh', 'dark'], ['en', 'light'], ['en', 'dark']]) {
      test(`${width} px, ${lang}, ${theme}`, () => phone({ width, height: width === 360 ? 740 : 860, lang, theme }, async (page) => {
        const shot = async (name) => {
          await page.evaluate(() => Promise.all(document.getAnimations().filter((a) => a.effect.getTiming().iterations === 1).map((a) => a.finished.catch(() => {}))));
          const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          assert.ok(wide <= 0, `${name}: ${wide} px wider than the screen`);
          await page.screenshot({ path: path.join(artifacts, `${width}-${lang}-${theme}-${name}.png`) });
        };
        await page.locator('.good').first().waitFor();
        await shot('shop');
        await page.locator('.good').first().click();
        await shot('product');
        await page.locator('[data-act=buy]').click();
        await page.locator('[data-sheet=cashier]').waitFor();
        await shot('cashier');
        await settle(page, 'pay');
        await becomes(page, 'paid');
        await shot('paid');
        await page.locator('[data-act=orders]').click();
        await page.locator('.order').first().waitFor();
        await shot('orders');
        if (width === 360) {
          await page.locator('[data-act=drawer]').click();
          await page.locator('.drawer').waitFor();
        }
        await page.locator('.entry-head').first().click();
        await page.locator('.entry-body').waitFor();
        await shot('timeline');
        if (width < 1180) {
          await page.locator('.tablist [data-tab=controls]').click();
          await page.locator('.controls-column').waitFor();
          await shot('controls');
        }
        if (width === 360) {
          await page.keyboard.press('Escape');
          await page.locator('.drawer').waitFor({ state: 'detached' });
        }
      }));
    }
  }
});

// What a reader must be able to make out: everything that can be operated has a name, all text stands out by 4.5 to 1.
async function legible(page) {
  return page.evaluate(() => {
    const wrong = [];
    const shown = (el) => el.checkVisibility() && !el.closest('[inert], [aria-hidden=true], :disabled') && el.getClientRects().length > 0;
    for (const el of document.querySelectorAll('button, input, select, a')) {
      const name = el.getAttribute('aria-label') || el.textContent.trim() || el.closest('label')?.textContent.trim();
      if (shown(el) && !name) wrong.push(`no name: ${el.outerHTML.slice(0, 120)}`);
    }
    const parse = (c) => { const [r, g, b, a = 1] = c.match(/[\d.]+/g).map(Number); return { rgb: [r, g, b], a }; };
    const light = (rgb) => {
      const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    let seen = 0;
    for (let node = texts.nextNode(); node; node = texts.nextNode()) {
      const el = node.parentElement;
      if (!node.data.trim() || !shown(el) || el.closest('noscript, svg')) continue;
      let ground = el;
      while (ground && getComputedStyle(ground).backgroundImage === 'none' && parse(getComputedStyle(ground).backgroundColor).a < 1) ground = ground.parentElement;
      if (!ground || getComputedStyle(ground).backgroundImage !== 'none') continue; // a gradient: looked at by eye
      const [a, b] = [parse(getComputedStyle(el).color), parse(getComputedStyle(ground).backgroundColor)].map((c) => light(c.rgb));
      const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      seen++;
      if (ratio < 4.5) wrong.push(`contrast ${ratio.toFixed(2)}: "${node.data.trim().slice(0, 40)}" in .${el.className}`);
    }
    if (seen < 10) wrong.push(`only ${seen} texts were looked at`);
    return wrong;
  });
}

describe('legible', () => {
  for (const theme of ['light', 'dark']) {
    test(theme, () => phone({ theme, user: `reader-${theme}` }, async (page) => {
      const found = [];
      const look = async () => found.push(...await legible(page));
      await look();
      await chip(page, 'signtest');
      await order(page);
      await look();
      await settle(page, 'fail');
      await becomes(page, 'failed');
      await page.locator('.ribbon-head').click();
      await page.locator('.ribbon.open').waitFor();
      await look();
      await page.locator('main.result [data-act=pay-again]').click();
      await settle(page, 'pay');
      await becomes(page, 'paid');
      await page.locator('.entry[data-kind=notification].bad').waitFor();
      await page.locator('.entry-head').first().click();
      await page.locator('.entry-body').waitFor();
      await page.locator('.toast').first().waitFor({ state: 'detached' });
      await look();
      await page.locator('[data-act=orders]').click();
      await page.locator('[data-pick=all]').click();
      await page.locator('.order').first().waitFor();
      await look();
      assert.deepEqual([...new Set(found)], []);
    }));
  }
});

describe('starting over', () => {
  test('with many payments it wants a word, then forgets them', () => phone({}, async (page) => {
    assert.ok((await control('/payments')).data.length > 20, 'the cases before this one made more than 20 payments');
    await page.locator('[data-act=reset]').click();
    const word = page.locator('[data-confirm] input');
    await page.waitForFunction(() => document.activeElement?.matches('[data-confirm] input'));
    await word.fill('清');
    await word.press('Enter');
    assert.ok((await control('/payments')).data.length > 20, 'any word will do');
    await word.fill('清空');
    await word.press('Enter');
    await page.locator('[data-empty]').waitFor();
    assert.deepEqual((await control('/payments')).data, []);
    // The shop goes on.
    await order(page);
    await settle(page, 'pay');
    await becomes(page, 'paid');
  }));
});
