using System.Text;
using System.Xml;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Net.Http.Headers;

namespace BackendSystems.Erp;

/// <summary>Looks at every message before the SOAP library does, so that whatever is no proper SOAP 1.1 gets a proper fault.</summary>
internal static class ErpEnvelope
{
    private const string Soap11 = "http://schemas.xmlsoap.org/soap/envelope/";
    private const int LargestMessage = 256 * 1024;
    private static readonly string[] Operations =
        [nameof(OrderService.ListOrders), nameof(OrderService.GetOrder), nameof(OrderService.PlaceOrder), nameof(OrderService.CancelOrder)];

    public static async Task CheckAsync(HttpContext context, RequestDelegate next)
    {
        if (HttpMethods.IsGet(context.Request.Method) && context.Request.Query.ContainsKey("wsdl"))
        {
            await WriteWsdlAsync(context);
            return;
        }

        if (!HttpMethods.IsPost(context.Request.Method))
        {
            context.Response.Headers.Allow = "GET, POST";
            await WriteFaultAsync(context, StatusCodes.Status405MethodNotAllowed, "Client", "Send a SOAP 1.1 message by POST; the WSDL is at ?wsdl.");
            return;
        }

        if (!IsXml(context.Request.ContentType))
        {
            await WriteFaultAsync(context, StatusCodes.Status415UnsupportedMediaType, "Client", "SOAP 1.1 comes as text/xml in UTF-8.");
            return;
        }

        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
        {
            limit.MaxRequestBodySize = LargestMessage;
        }

        var message = new MemoryStream();
        try
        {
            await context.Request.Body.CopyToAsync(message, context.RequestAborted);
        }
        catch (BadHttpRequestException exception) when (exception.StatusCode == StatusCodes.Status413PayloadTooLarge)
        {
            await WriteFaultAsync(context, exception.StatusCode, "Client", $"A message has at most {LargestMessage / 1024} KiB.");
            return;
        }

        if (await RefuseAsync(message, context.Request.Headers["SOAPAction"].ToString().Trim('"')) is var (code, reason))
        {
            await WriteFaultAsync(context, StatusCodes.Status500InternalServerError, code, reason);
            return;
        }

        message.Position = 0;
        context.Request.Body = message;
        await next(context);
    }

    /// <summary>The contract is written by hand: the library's own has every fault's element twice, which strict clients refuse.</summary>
    private static async Task WriteWsdlAsync(HttpContext context)
    {
        await using var resource = typeof(ErpEnvelope).Assembly.GetManifestResourceStream(typeof(ErpEnvelope), "orders.wsdl")!;
        using var reader = new StreamReader(resource);
        var wsdl = await reader.ReadToEndAsync(context.RequestAborted);
        var address = $"{context.Request.Scheme}://{context.Request.Host.ToUriComponent()}{ErpSetup.Path}";
        context.Response.ContentType = "text/xml; charset=utf-8";
        await context.Response.WriteAsync(wsdl.Replace("{address}", address, StringComparison.Ordinal), context.RequestAborted);
    }

    public static async Task WriteFaultAsync(HttpContext context, int status, string code, string reason)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = "text/xml; charset=utf-8";
        var fault = new StringBuilder();
        using (var xml = XmlWriter.Create(fault, new XmlWriterSettings { OmitXmlDeclaration = true }))
        {
            xml.WriteStartElement("s", "Envelope", Soap11);
            xml.WriteStartElement("Body", Soap11);
            xml.WriteStartElement("Fault", Soap11);
            xml.WriteElementString("faultcode", $"s:{code}");
            xml.WriteElementString("faultstring", string.Concat(reason.Select(letter => XmlConvert.IsXmlChar(letter) ? letter : '?')));
        }

        await context.Response.WriteAsync(fault.ToString(), context.RequestAborted);
    }

    private static bool IsXml(string? contentType) =>
        MediaTypeHeaderValue.TryParse(contentType, out var type)
        && type.MediaType.Equals("text/xml", StringComparison.OrdinalIgnoreCase)
        && (type.Charset.Length is 0 || HeaderUtilities.RemoveQuotes(type.Charset).Equals("utf-8", StringComparison.OrdinalIgnoreCase));

    /// <returns>The fault code and reason, or null for a message that may go on.</returns>
    private static async Task<(string Code, string Reason)?> RefuseAsync(MemoryStream message, string action)
    {
        message.Position = 0;
        var settings = new XmlReaderSettings
        {
            Async = true,
            DtdProcessing = DtdProcessing.Prohibit,
            XmlResolver = null,
            IgnoreComments = true,
            IgnoreWhitespace = true,
        };
        try
        {
            using var xml = XmlReader.Create(message, settings);
            await xml.MoveToContentAsync();
            if (xml.LocalName != "Envelope" || xml.NamespaceURI != Soap11)
            {
                return xml.LocalName == "Envelope"
                    ? ("VersionMismatch", $"Only SOAP 1.1 ({Soap11}) is spoken here.")
                    : ("Client", "The root must be a SOAP 1.1 Envelope.");
            }

            var body = xml.ReadToDescendant("Body", Soap11) && await xml.ReadAsync() && await xml.MoveToContentAsync() == XmlNodeType.Element;
            if (!body || xml.NamespaceURI != ErpNamespace.Uri || !Operations.Contains(xml.LocalName))
            {
                return ("Client", $"The Body must hold one of {string.Join(", ", Operations)} in the namespace {ErpNamespace.Uri}.");
            }

            if (action.Length > 0 && action != $"{ErpNamespace.Uri}/OrderService/{xml.LocalName}")
            {
                return ("Client", $"The SOAPAction is not that of {xml.LocalName}: send {ErpNamespace.Uri}/OrderService/{xml.LocalName}, or none.");
            }

            while (await xml.ReadAsync())
            {
                if (xml.Depth > 32)
                {
                    return ("Client", "The message is nested too deeply.");
                }
            }

            return null;
        }
        catch (XmlException exception)
        {
            return ("Client", $"The message is not well-formed XML without a DTD: {exception.Message}");
        }
    }
}
