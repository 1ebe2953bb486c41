// wechatpay-axios-plugin and our SDK understand each other in API v2.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import wechatpay from 'wechatpay-axios-plugin';
import { open } from './fenhao.mjs';

const { Formatter, Hash, Transformer } = wechatpay;

let fenhao;
before(async () => { fenhao = await open(); });
after(() => fenhao?.close());

const key = '192006250b4c09247ec02edce69f6a2d';
const who = { merchant_id: '1900000001', app_id: 'wx8888888888888888', apiv2_key: key };

// Values that signing or XML has gone wrong with. The SDK's XML writer can't carry blanks at the ends nor "]]>", and its
// reader trims, so these are in the Go tests alone.
const hard = {
  attach: '桌号=7&加糖=否', detail: '{"goods_name":"咖啡 <大杯> \\"冰\\" & \'x\'"}', emoji: '😀', fee: '0', number: '007', a: '=', A: 'upper case', zz: '%E5%92%96+',
};

for (const type of ['MD5', 'HMAC-SHA256']) {
  describe(type, () => {
    const sign = (fields) => Hash.sign(type, fields, key);

    test('signatures', async () => {
      for (const fields of [hard, { one: '1' }, { ...hard, empty: '', sign: 'X' }]) {
        assert.equal(await fenhao.ask('v2_sign', { ...who, sign_type: type, fields }), sign(fields));
      }
    });

    test('our request', async () => {
      const { sent } = await fenhao.ask('v2_exchange', { ...who, sign_type: type, fields: hard, body: '' });
      const read = Transformer.toObject(sent);
      const { sign: signature, nonce_str: nonce, ...rest } = read;
      assert.deepEqual(rest, { ...hard, appid: who.app_id, mch_id: who.merchant_id, sign_type: type });
      assert.match(nonce, /^\w{16,32}$/);
      assert.equal(signature, sign(read));
    });

    test("the SDK's answer", async () => {
      const answer = { ...hard, return_code: 'SUCCESS', result_code: 'SUCCESS', appid: who.app_id, mch_id: who.merchant_id, nonce_str: Formatter.nonce() };
      const xml = (fields) => Transformer.toXml({ ...fields, sign: sign(answer) });
      const taken = await fenhao.ask('v2_exchange', { ...who, sign_type: type, fields: {}, body: xml(answer) });
      assert.deepEqual(taken.read, { ...answer, sign: sign(answer) });
      const altered = await fenhao.ask('v2_exchange', { ...who, sign_type: type, fields: {}, body: xml({ ...answer, fee: '1' }) });
      assert.match(altered.refused ?? '', /sign/);
    });

    test('pay parameters', async () => {
      const timestamp = Formatter.timestamp();
      const { paySign, ...p } = await fenhao.ask('v2_pay', { ...who, sign_type: type, prepay_id: 'wx201410272009395522657a690389285100', timestamp, nonce: Formatter.nonce() });
      assert.deepEqual(Object.keys(p).sort(), ['appId', 'nonceStr', 'package', 'signType', 'timeStamp']);
      assert.equal(paySign, sign(p));
    });
  });
}
