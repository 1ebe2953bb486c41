// wechatpay-axios-plugin and our side understand each other in API v3.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import wechatpay from 'wechatpay-axios-plugin';
import { clients, mailbox, open, openID } from './fenhao.mjs';

const { Wechatpay, Rsa, Aes, Formatter } = wechatpay;

const pair = () => generateKeyPairSync('rsa', {
  modulusLength: 2048, publicKeyEncoding: { type: 'spki', format: 'pem' }, privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
});

let fenhao;
before(async () => { fenhao = await open(); });
after(() => fenhao?.close());

/** platform is what the SDK verifies with: all certificates and the public key. */
const platform = (m) => ({
  ...Object.fromEntries(m.platform_certificates.map((c) => [c.serial, c.certificate])), [m.public_key_id]: m.public_key,
});

describe('at the sandbox', () => {
  let orders = 0;
  const code = (want) => ({ response }) => {
    assert.equal(response?.data?.code, want);
    return true;
  };

  for (const [way, config] of Object.entries(clients(() => fenhao))) {
    test(`a purchase ${way}`, async (t) => {
      const m = fenhao.merchant;
      const shop = new Wechatpay({ mchid: m.id, serial: m.certificate_serial, privateKey: m.private_key, certs: platform(m), ...await config() });
      const box = await mailbox();
      t.after(() => box.close());
      const user = '小明';
      const openid = await openID(fenhao, user);
      const number = () => { orders += 1; return `AXIOS-${String(orders).padStart(6, '0')}`; };
      const order = {
        appid: m.apps[0].id, mchid: m.id, description: '咖啡 "大杯" & <冰>', out_trade_no: number(), attach: '桌号=7&加糖=否',
        notify_url: box.url, amount: { total: 1999 }, payer: { openid },
      };
      const at = shop.v3.pay.transactions.outTradeNo._out_trade_no_;
      const one = (no) => ({ params: { mchid: m.id }, out_trade_no: no });

      await assert.rejects(at.get(one(order.out_trade_no)), code('ORDER_NOT_EXIST'));
      const { data: { prepay_id: prepayID } } = await shop.v3.pay.transactions.jsapi.post(order);
      const open = await at.get(one(order.out_trade_no));
      assert.equal(open.data.trade_state, 'NOTPAY');

      const phone = {
        appId: order.appid, timeStamp: `${Formatter.timestamp()}`, nonceStr: Formatter.nonce(), package: `prepay_id=${prepayID}`,
      };
      const message = Formatter.joinedByLineFeed(phone.appId, phone.timeStamp, phone.nonceStr, phone.package);
      const paid = await fenhao.control('POST', 'request-payment', {
        app_id: order.appid, user, ...phone, signType: 'RSA', paySign: Rsa.sign(message, m.private_key), action: 'pay',
      });
      assert.equal(paid.errMsg, 'requestPayment:ok', paid.reason);

      // The notification as the SDK's README has it: verify the raw body, then decrypt.
      const { headers, body } = await box.next();
      const key = platform(m)[headers['wechatpay-serial']];
      const signed = (text) => Formatter.response(headers['wechatpay-timestamp'], headers['wechatpay-nonce'], text);
      assert.ok(Rsa.verify(signed(body), headers['wechatpay-signature'], Rsa.from(key, Rsa.KEY_TYPE_PUBLIC)));
      assert.ok(!Rsa.verify(signed(`${body} `), headers['wechatpay-signature'], Rsa.from(key, Rsa.KEY_TYPE_PUBLIC)));
      const { event_type: event, resource } = JSON.parse(body);
      assert.equal(event, 'TRANSACTION.SUCCESS');
      const told = JSON.parse(Aes.AesGcm.decrypt(resource.ciphertext, m.apiv3_key, resource.nonce, resource.associated_data));
      assert.deepEqual(
        [told.out_trade_no, told.trade_state, told.amount.total, told.attach, told.payer.openid, told.mchid],
        [order.out_trade_no, 'SUCCESS', 1999, order.attach, openid, m.id],
      );
      const asked = await at.get(one(order.out_trade_no));
      assert.deepEqual([asked.data.transaction_id, asked.data.trade_state], [told.transaction_id, 'SUCCESS']);

      await assert.rejects(at.close.post({ mchid: m.id }, { out_trade_no: order.out_trade_no }), code('ORDER_PAID'));
      const other = { ...order, out_trade_no: number() };
      await shop.v3.pay.transactions.jsapi.post(other);
      assert.equal((await at.close.post({ mchid: m.id }, { out_trade_no: other.out_trade_no })).status, 204);
      const closed = await at.get(one(other.out_trade_no));
      assert.equal(closed.data.trade_state, 'CLOSED');
    });

    test(`an answer with a wrong signature ${way}`, async () => {
      const m = fenhao.merchant;
      const shop = new Wechatpay({ mchid: m.id, serial: m.certificate_serial, privateKey: m.private_key, certs: platform(m), ...await config() });
      const order = {
        appid: m.apps[0].id, mchid: m.id, description: 'x', out_trade_no: `WRONG-${way.length}`, notify_url: 'https://shop.example.com/n',
        amount: { total: 1 }, payer: { openid: await openID(fenhao, 'bob') },
      };
      await fenhao.control('POST', 'faults', { on: 'v3.prepay', kind: 'bad_signature', count: 1 });
      await assert.rejects(shop.v3.pay.transactions.jsapi.post(order), (err) => err.code === 'EV3_RES_HEADER_SIGNATURE_DIGEST');
      assert.ok((await shop.v3.pay.transactions.jsapi.post(order)).data.prepay_id);
    });
  }

  for (const [way, config] of Object.entries(clients(() => fenhao))) {
    test(`the certificates, downloaded ${way} by one who has none`, async () => {
      const m = fenhao.merchant;
      const settings = { mchid: m.id, serial: m.certificate_serial, privateKey: m.private_key, certs: { any: undefined }, ...await config() };
      const shop = new Wechatpay(settings);
      const found = {};
      // The list is signed by a certificate in it: it is opened first and verified then, as the SDK's own tool does.
      const opened = (text) => {
        for (const { serial_no: serial, encrypt_certificate: c } of JSON.parse(text).data) {
          found[serial] = Aes.AesGcm.decrypt(c.ciphertext, m.apiv3_key, c.nonce, c.associated_data);
          settings.certs[serial] = Rsa.from(found[serial], Rsa.KEY_TYPE_PUBLIC);
        }
        return text;
      };
      await shop.v3.certificates.get({ transformResponse: [opened, ...shop.client.v3.defaults.transformResponse] });
      assert.deepEqual(found, Object.fromEntries(m.platform_certificates.map((c) => [c.serial, c.certificate.trimEnd()])));
    });
  }

  // The SDK's command line, as a user runs it: it has WeChat Pay's address and learns of the proxy from its environment.
  test('wxpay, with HTTPS_PROXY', async () => {
    const m = fenhao.merchant;
    const at = (name) => path.join(fenhao.folder, m.id, name);
    const [{ serial }] = m.platform_certificates;
    const wxpay = fileURLToPath(new URL('bin/cli.js', import.meta.resolve('wechatpay-axios-plugin')));
    const env = { ...process.env, HTTPS_PROXY: fenhao.proxy, NO_PROXY: '', NODE_EXTRA_CA_CERTS: path.join(fenhao.folder, 'ca.pem') };
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [wxpay, 'v3.certificates', '-m', 'get', '-c.mchid', m.id,
      '-c.serial', m.certificate_serial, '-c.privateKey', at('apiclient_key.pem'), `-c.certs.${serial}`, at(`wechatpay_${serial}.pem`)], { env });
    assert.match(stdout, /'wechatpay-serial'/, stderr);
    assert.match(stdout, /data: \{ data: \[/, stderr); // it was verified
  });
});

describe('with our SDK', () => {
  const { privateKey, publicKey } = pair();
  const wechat = pair();
  const who = { merchant_id: '1900000001', serial: '5157F09EFDC096DE15EBE81A47057A7232F1B8E1', private_key: privateKey };
  const bodies = ['', '{"description":"咖啡 & <tea> \\"大杯\\" 😀"}', '{"mchid":"1900000001"}\n', ' \t\r\n{}'];
  const timestamp = 1795161600;
  const nonce = '593BEC0C930BF1AFEB40B4A08C8FB242';

  test('requests', async () => {
    for (const body of bodies) {
      for (const [method, target] of [['GET', '/v3/certificates'], ['POST', '/v3/x?q=%E5%92%96%E5%95%A1+a%2Bb%26c']]) {
        const message = { kind: 'request', method, target, body, timestamp, nonce };
        const header = await fenhao.ask('authorization', { ...who, message });
        const said = Object.fromEntries([...header.matchAll(/(\w+)="([^"]*)"/g)].map(([, k, v]) => [k, v]));
        const text = Formatter.request(method, target, timestamp, nonce, body);
        assert.ok(Rsa.verify(text, said.signature, publicKey), `${method} ${target} ${body}`);
        assert.deepEqual(
          [header.split(' ')[0], said.mchid, said.serial_no, said.timestamp, said.nonce_str],
          ['WECHATPAY2-SHA256-RSA2048', who.merchant_id, who.serial, `${timestamp}`, nonce],
        );
        // PKCS#1 v1.5 leaves nothing to chance: theirs is the same.
        assert.equal(Rsa.sign(text, privateKey), said.signature);
        assert.ok(await fenhao.ask('verify', { message, signature: Rsa.sign(text, privateKey), public_key: publicKey }));
        const other = { ...message, body: `${body}\n` };
        assert.ok(!await fenhao.ask('verify', { message: other, signature: said.signature, public_key: publicKey }));
      }
    }
  });

  test('answers and pay parameters', async () => {
    for (const body of bodies) {
      const message = { kind: 'response', timestamp, nonce, body };
      const signature = await fenhao.ask('sign', { message, private_key: privateKey });
      assert.ok(Rsa.verify(Formatter.response(timestamp, nonce, body), signature, publicKey), body);
    }
    const pay = { kind: 'pay', app_id: 'wx8888888888888888', timestamp, nonce, package: 'prepay_id=wx201410272009395522657a690389285100' };
    const text = Formatter.joinedByLineFeed(pay.app_id, timestamp, nonce, pay.package);
    assert.equal(await fenhao.ask('sign', { message: pay, private_key: privateKey }), Rsa.sign(text, privateKey));
  });

  test('a notification that the SDK sealed and signed', async () => {
    const apiv3 = '0123456789abcdef0123456789ABCDEF';
    const plain = {
      appid: 'wx8888888888888888', mchid: who.merchant_id, out_trade_no: 'ORDER-000001', transaction_id: '4200000001202611200000000001',
      trade_type: 'JSAPI', trade_state: 'SUCCESS', bank_type: 'OTHERS', attach: '桌号=7&加糖=否', success_time: '2026-11-20T16:00:00+08:00',
      payer: { openid: 'oUpF8uMuAJO_M2pxb1Q9zNjWeS6o' }, amount: { total: 1999, payer_total: 1999, currency: 'CNY', payer_currency: 'CNY' },
    };
    const ciphertext = Aes.AesGcm.encrypt(JSON.stringify(plain), apiv3, 'fdasflkja484', 'transaction');
    assert.equal(await fenhao.ask('decrypt', { apiv3_key: apiv3, nonce: 'fdasflkja484', associated_data: 'transaction', text: ciphertext }), JSON.stringify(plain));
    const body = JSON.stringify({
      id: 'EV-2018022511223320873', create_time: '2026-11-20T16:00:01+08:00', event_type: 'TRANSACTION.SUCCESS', summary: '支付成功',
      resource_type: 'encrypt-resource', resource: {
        algorithm: 'AEAD_AES_256_GCM', original_type: 'transaction', associated_data: 'transaction', nonce: 'fdasflkja484', ciphertext,
      },
    });
    const now = Formatter.timestamp();
    const header = {
      'Wechatpay-Timestamp': `${now}`, 'Wechatpay-Nonce': nonce, 'Wechatpay-Serial': 'PUB_KEY_ID_0119000000012024101500000001',
      'Wechatpay-Signature': Rsa.sign(Formatter.response(now, nonce, body), wechat.privateKey),
    };
    const question = { ...who, apiv3_key: apiv3, public_key_id: header['Wechatpay-Serial'], public_key: wechat.publicKey, header, body };
    assert.deepEqual(await fenhao.ask('notification', question), {
      out_trade_no: plain.out_trade_no, transaction_id: plain.transaction_id, state: 'SUCCESS', total: 1999, attach: plain.attach,
      openid: plain.payer.openid, success_time: '2026-11-20T08:00:00Z',
    });
    await assert.rejects(fenhao.ask('notification', { ...question, body: body.replace('EV-2018', 'EV-2019') }), /signature/);
  });

  test('sensitive fields', async () => {
    for (const text of ['a', '张三', 'x'.repeat(214)]) {
      assert.equal(Rsa.decrypt(await fenhao.ask('encrypt_field', { public_key: publicKey, text }), privateKey), text);
      assert.equal(await fenhao.ask('decrypt_field', { private_key: privateKey, text: Rsa.encrypt(text, publicKey) }), text);
    }
  });
});
