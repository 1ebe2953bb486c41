package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kong"

	"github.com/fenhao-pay/fenhao/internal/phrase"
	"github.com/fenhao-pay/fenhao/internal/spell"
)

// helps are the texts of the grammar's ${names}.
var helps = map[string]phrase.Text{
	"lang": phrase.Say("语言：zh 或 en（默认取自 FENHAO_LANG、LC_ALL、LC_MESSAGES、LANG）",
		"language: zh or en (default from FENHAO_LANG, LC_ALL, LC_MESSAGES, LANG)"),
	"help": phrase.Say("显示帮助", "show help"),

	"dev": phrase.Say("一条命令启动全部：服务、微信模拟器、示例商店；不连接微信，无需配置",
		"start everything here: service, WeChat emulator, sample shop; no account, no configuration"),
	"serve": phrase.Say("启动服务，读取 fenhao.yaml 和 FENHAO_* 环境变量",
		"start the service, from fenhao.yaml and FENHAO_* variables"),
	"sandbox": phrase.Say("只启动微信模拟器，供任意语言的微信支付 SDK 使用",
		"start the WeChat emulator alone, for a WeChat Pay SDK in any language"),
	"init": phrase.Say("生成带注释的 fenhao.yaml 和新的密钥；从不覆盖已有文件",
		"write a commented fenhao.yaml with a fresh secret key; never overwrites"),
	"apikey": phrase.Say("API 密钥：fenhao apikey create --name 名称", "API keys: fenhao apikey create --name NAME"),
	"sign": phrase.Say("显示被签名的字符串（逐字节）、签名和 Authorization；v3 与 v2",
		"show the exact text that is signed, the signature and the Authorization header; v3 and v2"),
	"verify": phrase.Say("验签；不通过时找出原因并指名（退出码 0 通过，1 不通过）",
		"check a signature and name the mistake where it is wrong (exit code 0 verified, 1 not)"),
	"decrypt": phrase.Say("解密通知或平台证书（v3），或退款通知的 req_info（v2）",
		"decrypt a notification or platform certificates (v3), or the req_info of a refund notification (v2)"),
	"version": phrase.Say("版本、提交、Go 版本", "version, commit, Go version"),

	"config": phrase.Say("配置文件；--config= 表示不用文件，只用 FENHAO_* 环境变量",
		"configuration file; --config= is for none, FENHAO_* variables alone"),
	"init_config":    phrase.Say("要写的文件", "file to write"),
	"dev_data":       phrase.Say("数据目录", "directory of the data"),
	"sandbox_data":   phrase.Say("数据目录；不给则只存在内存里", "directory of the data; left out: in memory"),
	"listen":         phrase.Say("监听地址；端口 0 表示任选空闲端口", "address to listen on; port 0 picks a free port"),
	"sandbox_listen": phrase.Say("微信模拟器的监听地址", "address of the WeChat emulator"),
	"seed": phrase.Say("随机数种子：同一种子、同样的操作得到同样的编号；密钥总是新的",
		"seed of the random numbers: the same seed and the same acts give the same numbers; keys are always new"),
	"export": phrase.Say("把 ca.pem、商户的 PEM 文件和 merchant.json 写到这个目录",
		"write ca.pem, the merchants' PEM files and merchant.json into this directory"),
	"tls": phrase.Say("以微信的域名提供 HTTPS，证书由沙箱自己的 CA 签发（ca.pem，见 --export）",
		"serve HTTPS under WeChat's host names, with a certificate of the sandbox's own CA (ca.pem, see --export)"),
	"proxy": phrase.Say("HTTP 代理，只把微信的域名引到这里（用作 HTTPS_PROXY），拒绝其他一切",
		"HTTP proxy that leads WeChat's host names here (as HTTPS_PROXY) and refuses everything else"),
	"service": phrase.Say("手机页面要用的分毫服务地址", "address of the Fenhao service that the phone page buys from"),
	"apikey_create": phrase.Say("新建一把 API 密钥，只显示一次（嵌入式数据库需先停止服务）",
		"make an API key, shown once (with the embedded database, while the service is stopped)"),
	"apikey_name": phrase.Say("密钥的名字，便于辨认", "name of the key, to tell it from others"),
	"v3":          phrase.Say("API v3（默认）", "API v3 (the default)"),
	"v2":          phrase.Say("API v2", "API v2"),
	"pay":         phrase.Say("签 wx.requestPayment 的参数", "sign the parameters of wx.requestPayment"),
	"method":      phrase.Say("请求方法（默认有正文为 POST，否则 GET）", "method of the request (default POST with a body, else GET)"),
	"url":         phrase.Say("路径和查询串，与实际发送的一致", "path and query, exactly as sent"),
	"body":        phrase.Say("正文文件，原始字节；- 为标准输入", "file of the body, raw bytes; - is standard input"),
	"stamp":       phrase.Say("Unix 秒（默认现在）", "Unix seconds (default now)"),
	"nonce":       phrase.Say("随机串（默认随机）", "nonce (default random)"),
	"keys_of": phrase.Say("从这份配置取商户的密钥（不给密钥文件时默认 fenhao.yaml）",
		"take the merchant's keys from this configuration (default fenhao.yaml where no key file is given)"),
	"merchant": phrase.Say("配置里的商户号（默认第一个）", "merchant of the configuration (default the first)"),
	"sign_key": phrase.Say("商户私钥 apiclient_key.pem", "the merchant's private key, apiclient_key.pem"),
	"serial":   phrase.Say("商户 API 证书序列号", "serial of the merchant API certificate"),
	"mchid":    phrase.Say("商户号", "merchant number"),
	"pay_app":  phrase.Say("小程序的 AppID", "AppID of the mini program"),
	"prepay":   phrase.Say("下单返回的 prepay_id", "prepay_id of the order"),
	"params": phrase.Say("v2 参数文件：XML、JSON 或 名称=值；- 为标准输入",
		"file of the v2 parameters: XML, JSON or name=value; - is standard input"),
	"v2_key": phrase.Say("存有 APIv2 密钥的文件（- 为标准输入）", "file that holds the APIv2 key (- is standard input)"),
	"v3_key": phrase.Say("存有 APIv3 密钥的文件（- 为标准输入）", "file that holds the APIv3 key (- is standard input)"),
	"sign_sort": phrase.Say("MD5 或 HMAC-SHA256（默认取参数里的 sign_type，否则 MD5）",
		"MD5 or HMAC-SHA256 (default the sign_type among the parameters, else MD5)"),
	"verify_sort": phrase.Say("应当使用的签名类型：MD5 或 HMAC-SHA256（默认取消息里的）",
		"the sign type that is expected: MD5 or HMAC-SHA256 (default the message's own)"),
	"request": phrase.Say("检查商户请求的签名，像微信支付那样", "check the signature of a merchant's request, as WeChat Pay does"),
	"headers": phrase.Say("HTTP 头文件：原始头、curl -i 或 curl -v 的输出、JSON；- 为标准输入",
		"file of the HTTP headers: raw, the output of curl -i or curl -v, or JSON; - is standard input"),
	"auth": phrase.Say("Authorization 头的值（也可在 --headers 里）",
		"value of the Authorization header (it may stand in --headers instead)"),
	"verify_key": phrase.Say("微信支付公钥或平台证书；--request 时为商户证书或公钥。可给多个",
		"WeChat Pay's public key or platform certificate; with --request the merchant's certificate or public key. May be repeated"),
	"key_id": phrase.Say("公钥的 ID（PUB_KEY_ID_…），与 Wechatpay-Serial 比较",
		"id of the public key (PUB_KEY_ID_…), compared with Wechatpay-Serial"),
	"answer": phrase.Say("微信支付的 401 应答（含 sign_information），比较双方的签名串",
		"WeChat Pay's 401 answer (with sign_information), to compare its text with ours"),
	"xml": phrase.Say("v2 的通知、应答或请求：XML，也可为 JSON 或 名称=值；- 为标准输入",
		"notification, answer or request of v2: XML, or JSON or name=value; - is standard input"),
	"at": phrase.Say("收到消息的时间：RFC 3339 或 Unix 秒（默认现在）",
		"when the message arrived: RFC 3339 or Unix seconds (default now)"),
	"decrypt_file": phrase.Say("通知的 JSON 或 XML（默认标准输入）", "JSON or XML of the notification (default standard input)"),
	"json_ready": phrase.Say("就绪后在标准输出打印一行 JSON，日志写到标准错误",
		"print one line of JSON on standard output when ready; log to standard error"),
	"json": phrase.Say("输出 JSON", "print JSON"),
}

// helpVars are the texts in lang, as kong wants them.
func helpVars(lang string) kong.Vars {
	vars := kong.Vars{}
	for name, t := range helps {
		vars[name] = t.In(lang)
	}
	return vars
}

// printHelp prints what the program can do. A newcomer who reads nothing else reads its last line.
func printHelp(e *env, app *kong.Node) {
	fmt.Fprintln(e.stdout, e.text("分毫 Fenhao：为小程序接入微信支付的自托管服务",
		"Fenhao 分毫: self-hosted WeChat Pay for mini programs"))
	fmt.Fprintln(e.stdout)
	fmt.Fprintln(e.stdout, e.text("用法：fenhao <命令> [选项]", "Usage: fenhao <command> [flags]"))
	fmt.Fprintln(e.stdout)
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	for _, c := range app.Children {
		fmt.Fprintf(w, "  %s\t%s\n", c.Name, c.Help)
	}
	_ = w.Flush() // standard output that can't be written has nobody to tell
	fmt.Fprintln(e.stdout)
	fmt.Fprintln(e.stdout, e.text("命令的选项：fenhao <命令> --help", "Flags of a command: fenhao <command> --help"))
	fmt.Fprintln(e.stdout, e.text("第一次使用？运行：fenhao dev", "First time? Run: fenhao dev"))
}

// printCommandHelp prints what one command does and takes.
func printCommandHelp(e *env, command *kong.Node) {
	verb := ""
	if len(command.Children) > 0 {
		verb = e.text(" <命令>", " <command>")
	}
	fmt.Fprintf(e.stdout, e.text("用法：%s%s [选项]\n", "Usage: %s%s [flags]\n"), commandName(command), verb)
	fmt.Fprintln(e.stdout)
	fmt.Fprintln(e.stdout, command.Help)
	fmt.Fprintln(e.stdout)
	for _, c := range command.Children {
		fmt.Fprintf(e.stdout, "  %s  %s\n\n", c.Name, c.Help)
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	for _, f := range flagsOf(command) {
		name := "--" + f.Name
		if !f.IsBool() {
			name += " " + f.FormatPlaceHolder()
		}
		help := f.Help
		if f.HasDefault {
			help += fmt.Sprintf(e.text("（默认 %s）", " (default %s)"), f.Default)
		}
		fmt.Fprintf(w, "  %s\t%s\n", name, help)
	}
	_ = w.Flush() // as above
}

// commandName is how a command is called: fenhao apikey create.
func commandName(n *kong.Node) string {
	if n.Parent == nil {
		return "fenhao"
	}
	return commandName(n.Parent) + " " + n.Name
}

// child returns the command of that name, or nil.
func child(app *kong.Node, name string) *kong.Node {
	for _, c := range app.Children {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// flagsOf returns the flags that may stand after node's name: its own, then the program's.
func flagsOf(node *kong.Node) []*kong.Flag {
	if node.Parent == nil {
		return node.Flags
	}
	return slices.Concat(node.Flags, node.Parent.Flags)
}

// firstWord returns where in args the command stands, or their number without one. The word help is none: it asks for
// help, so that `fenhao help dev` is `fenhao dev --help`.
func firstWord(args []string) int {
	for i := 0; i < len(args); i++ {
		switch arg := args[i]; {
		case arg == "--lang":
			i++ // its value is not a command
		case arg != "help" && !strings.HasPrefix(arg, "-"):
			return i
		}
	}
	return len(args)
}

func asksForHelp(args []string) bool {
	return slices.ContainsFunc(args, func(arg string) bool { return arg == "--help" || arg == "-h" }) ||
		slices.Contains(args[:firstWord(args)], "help")
}

func unknownCommand(app *kong.Node, word string) error {
	var names []string
	for _, c := range app.Children {
		names = append(names, c.Name)
	}
	if near := spell.Nearest(word, names); near != "" {
		return failure("没有命令 %[1]q。你是想用 %[2]s %[3]s 吗？",
			"there is no command %[1]q. Did you mean %[2]s %[3]s?", word, commandName(app), near)
	}
	return failure("没有命令 %[1]q。可用的命令：%[2]s",
		"there is no command %[1]q. There are: %[2]s", word, strings.Join(names, ", "))
}

// unknownFlag returns what is to be said about the first flag in args that may not stand after node's name, or nil.
func unknownFlag(node *kong.Node, args []string) error {
	var known []string
	for _, f := range flagsOf(node) {
		known = append(known, f.Name)
	}
	for _, arg := range args {
		name, _, _ := strings.Cut(arg, "=")
		if !strings.HasPrefix(name, "-") || name == "-" || name == "-h" || strings.HasPrefix(name, "--") && slices.Contains(known, name[2:]) {
			continue
		}
		if near := spell.Nearest(strings.TrimLeft(name, "-"), known); near != "" {
			return failure("没有选项 %[1]s。你是想用 --%[2]s 吗？",
				"there is no flag %[1]s. Did you mean --%[2]s?", name, near)
		}
		if node.Parent == nil {
			return failure("没有选项 %s。命令的选项写在命令之后",
				"there is no flag %s. The flags of a command follow it", name)
		}
		return failure("%[2]s 没有选项 %[1]s。可用的选项：%[3]s", "%[2]s has no flag %[1]s. It has: %[3]s",
			name, commandName(node), "--"+strings.Join(known, ", --"))
	}
	return nil
}

// explain turns kong's refusal of the args after command into a sentence for people.
func explain(command *kong.Node, args []string, err error) error {
	if err := unknownFlag(command, args); err != nil {
		return err
	}
	for _, f := range flagsOf(command) {
		if len(args) > 0 && args[len(args)-1] == "--"+f.Name && !f.IsBool() {
			return failure("--%[1]s 后面缺少值：--%[1]s %[2]s",
				"--%[1]s lacks its value: --%[1]s %[2]s", f.Name, f.FormatPlaceHolder())
		}
	}
	if own := (phrase.Text{}); errors.As(err, &own) { // of a command's Validate
		return own
	}
	return failure("用法不对（%s）", "wrong usage (%s)", err)
}
