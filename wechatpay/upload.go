package wechatpay

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"path"
	"strings"

	"github.com/fenhao-pay/fenhao/internal/phrase"
)

// MediaKind is what a file is uploaded for.
type MediaKind string

const (
	MediaImage          MediaKind = "/v3/merchant/media/upload"          // a picture for an application: jpg, png or bmp, 2 MB
	MediaVideo          MediaKind = "/v3/merchant/media/video_upload"    // a video for an application, 5 MB
	MediaComplaintImage MediaKind = "/v3/merchant-service/images/upload" // a picture for ComplaintResponse: jpg, png or bmp, 2 MB
)

// mediaTypes are the content types of what can be uploaded.
var mediaTypes = map[string]string{
	".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".bmp": "image/bmp",
	".avi": "video/x-msvideo", ".wmv": "video/x-ms-wmv", ".mpeg": "video/mpeg", ".mp4": "video/mp4", ".mov": "video/quicktime",
	".mkv": "video/x-matroska", ".flv": "video/x-flv", ".f4v": "video/x-f4v", ".m4v": "video/x-m4v", ".rmvb": "application/vnd.rn-realmedia-vbr",
}

// UploadMedia uploads a file and returns its media id. name is that of the file, with an extension that tells its type;
// it is not a path. It may be repeated and then gives another media id.
//
// Source: vendor manual, "图片上传API", "视频上传API", "商户上传反馈图片".
func (c *Client) UploadMedia(ctx context.Context, kind MediaKind, name string, data []byte) (mediaID string, err error) {
	contentType := mediaTypes[strings.ToLower(path.Ext(name))]
	isImage := strings.HasPrefix(contentType, "image/")
	switch {
	case kind != MediaImage && kind != MediaVideo && kind != MediaComplaintImage:
		err = &RequestError{"kind", phrase.Text{EN: "it is one of the constants of MediaKind", ZH: "应为 MediaKind 的常量之一"}}
	case contentType == "" || isImage == (kind == MediaVideo):
		err = &RequestError{"filename", phrase.Text{EN: "its extension is none of a file that can be uploaded as this", ZH: "扩展名与上传类型不符"}}
	case strings.ContainsAny(name, "/\\\"\r\n"):
		err = &RequestError{"filename", phrase.Text{EN: "it is a name, without folders and quotes", ZH: "应为文件名，不含路径和引号"}}
	case len(data) == 0:
		err = &RequestError{"file", phrase.Text{EN: "it is empty", ZH: "文件为空"}}
	default:
		err = checkText("filename", name, 1, 128)
	}
	if err != nil {
		return "", fmt.Errorf("upload a file: %w", err)
	}
	sum := sha256.Sum256(data)
	// The signature covers these bytes alone, and so, through the hash, the file.
	meta, err := marshal(struct {
		Filename string `json:"filename"`
		SHA256   string `json:"sha256"`
	}{name, hex.EncodeToString(sum[:])})
	if err != nil {
		return "", fmt.Errorf("upload a file: %w", err)
	}
	var body bytes.Buffer
	parts := multipart.NewWriter(&body)
	for _, p := range []struct {
		disposition, contentType string
		data                     []byte
	}{
		{`form-data; name="meta"`, "application/json", meta},
		{`form-data; name="file"; filename="` + name + `"`, contentType, data},
	} {
		w, err := parts.CreatePart(textproto.MIMEHeader{"Content-Disposition": {p.disposition}, "Content-Type": {p.contentType}})
		if err == nil {
			_, err = w.Write(p.data)
		}
		if err != nil {
			return "", fmt.Errorf("upload a file: %w", notSent(err))
		}
	}
	if err := parts.Close(); err != nil {
		return "", fmt.Errorf("upload a file: %w", notSent(err))
	}
	resp, err := c.verified(ctx, call{
		method: http.MethodPost, path: string(kind), body: body.Bytes(), signed: meta, contentType: parts.FormDataContentType(),
	})
	if err != nil {
		return "", fmt.Errorf("upload a file: %w", err)
	}
	var v struct {
		MediaID string `json:"media_id"`
	}
	err = strictUnmarshal(resp.Body, &v)
	if err == nil && v.MediaID == "" {
		err = errors.New("it holds no media_id")
	}
	if err != nil {
		return "", fmt.Errorf("upload a file: %w", unreadable(err))
	}
	return v.MediaID, nil
}
